"""The API over a real gateway and dispatchers whose replica is a function: texts to arithmetic."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import FastAPI

from serve_app.api.app import create_app
from serve_app.api.gateway import Gateway
from serve_app.auto import Auto
from serve_app.dispatcher import Dispatcher
from serve_app.engine.artifacts import Manifest, Measured
from serve_app.lane import Dropped
from serve_app.messages import Call, Reply
from serve_app.settings import Settings
from serve_app.shadow import Shadow
from tests.notes import Notes

MEASURED = Measured(texts=64, flips=0, max_difference=0, mean_difference=0, batch_drift=0)
MANIFEST = Manifest(
    model_id="arithmetic",
    revision=None,
    licence=None,
    labels=["NEGATIVE", "POSITIVE"],
    problem_type="single_label_classification",
    max_length=512,
    parameters=0,
    precision="fp32",
    measured={"fp32": MEASURED},
    versions={},
    files={},
)


class World:
    """An app to ask, and what its replica saw.

    Its logits are [0, length of the text / 10]; on the text "bad" it fails.
    """

    def __init__(self, manifest: Manifest = MANIFEST, share: float = 0.0, **settings: Any) -> None:
        self.notes = Notes()
        self.calls = 0
        self.texts = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.settings = Settings(**settings)
        dispatchers = {
            backend: Dispatcher(
                self._call,
                backend=backend,
                ingress="ingress",
                texts_per_call=self.settings.texts_per_call,
                calls_per_replica=self.settings.calls_per_replica,
                max_texts=self.settings.max_waiting_texts,
                max_requests=self.settings.max_waiting_requests,
                max_characters=self.settings.max_waiting_characters,
            )
            for backend in ("transformers", "onnx")
        }
        auto = Auto(
            dispatchers["onnx"],
            dispatchers["transformers"],
            manifest.problem_type,
            threshold=0.0,
            patience=2.0,
            telemetry=Notes(),
        )
        self.gateway = Gateway(
            settings=self.settings,
            manifest=manifest,
            config_hash="0" * 12,
            dispatchers={**dispatchers, "auto": auto},
            describe=dict.fromkeys(dispatchers, self._describe),
            telemetry=self.notes,
            shadow=Shadow(dispatchers, manifest.problem_type, self.notes, share=share, bound=0.1),
            snapshot=self._describe,
        )
        self.app: FastAPI = create_app(self.gateway)

    @staticmethod
    def score(text: str) -> float:
        """Of the label POSITIVE, which every text gets."""
        return 1 / (1 + math.exp(-len(text) / 10))

    @staticmethod
    async def until(true: Callable[[], object]) -> None:
        """Let the loop turn until `true`; at most ten seconds."""
        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110 the app has no event for it
                await asyncio.sleep(0)

    async def _call(self, call: Call, dropped: Dropped) -> Reply:
        self.calls += 1
        await self.may_answer.wait()
        texts = [text for request in call.requests for text in request]
        self.texts += len(texts)
        zeros = np.zeros(len(texts), dtype=np.float32)
        return Reply(
            replica="replica",
            logits=np.array([[0, len(text) / 10] for text in texts], dtype=np.float32),
            queue=zeros,
            inference=zeros,
            batch_size=np.ones(len(texts), dtype=np.int32),
            truncated=[row for row, text in enumerate(texts) if len(text) > 999],
            errors={row: "it is odd" for row, text in enumerate(texts) if text == "bad"},
            tokenize=0.1,
        )

    @staticmethod
    async def _describe() -> dict[str, Any]:
        return {"replica": "replica"}
