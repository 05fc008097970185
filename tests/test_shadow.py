"""The shadow asks the other twin, counts, and gets out of the way."""

import asyncio
import logging
from typing import Any

import numpy as np
import pytest

from serve_app.request import Answers
from serve_app.shadow import Shadow
from serve_app.telemetry import SHADOW_OVER, SHADOW_SKIPPED, SHADOWED
from tests.notes import Notes


class Twin:
    def __init__(self, logits: list[list[float]]) -> None:
        self.logits = logits
        self.waiting = 0
        self.asked: list[list[str]] = []
        self.answered = asyncio.Event()
        self.fault: Exception | None = None

    def require_room(self, texts: int, within: float) -> None:
        raise AssertionError("whether there is room is asked for requests alone")

    async def infer(self, texts: list[str], within: float) -> Answers:
        self.asked.append(texts)
        self.answered.set()
        if self.fault:
            raise self.fault
        return Answers(np.array(self.logits, dtype=np.float32), "transformers")


FIRST = Answers(np.array([[0, 2], [0, 2]], dtype=np.float32), "onnx")
TEXTS = ["secret one", "secret two"]


def shadow(torch: Twin, notes: Notes, share: float = 1.0) -> Shadow:
    twins: Any = {"transformers": torch, "onnx": Twin([])}
    return Shadow(twins, "single_label_classification", notes, share, bound=0.1)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_agreement_and_difference_are_counted_without_the_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notes = Notes()
    caplog.set_level(logging.INFO, "ray.serve")
    torch = Twin([[0, 2], [2, 0]])
    shadow(torch, notes).follow(TEXTS, FIRST, "id-7")
    await settle()
    assert torch.asked == [TEXTS]
    assert notes.noted == [
        (SHADOWED, 1, {"agrees": "yes"}),
        (SHADOWED, 1, {"agrees": "no"}),
        (SHADOW_OVER, 1, {}),
    ]
    assert "id-7" in caplog.text
    assert "secret" not in caplog.text


async def test_a_busy_backend_is_left_alone() -> None:
    notes, torch = Notes(), Twin([[0, 2], [0, 2]])
    torch.waiting = 4
    shadow(torch, notes).follow(TEXTS, FIRST, "id")
    await settle()
    assert torch.asked == []
    assert notes.noted == [(SHADOW_SKIPPED, 1.0, {})]


async def test_no_share_asks_nobody() -> None:
    notes, torch = Notes(), Twin([[0, 2], [0, 2]])
    shadow(torch, notes, share=0.0).follow(TEXTS, FIRST, "id")
    await settle()
    assert torch.asked == []
    assert notes.noted == []


async def test_a_shadow_that_fails_is_not_seen(caplog: pytest.LogCaptureFixture) -> None:
    notes, torch = Notes(), Twin([])
    torch.fault = RuntimeError("dead")
    with caplog.at_level("INFO", logger="ray.serve"):
        shadow(torch, notes).follow(TEXTS, FIRST, "id")
        await settle()
    assert notes.noted == []
    assert "shadow of request id failed: dead" in caplog.text
