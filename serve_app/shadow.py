"""Do the twins agree on real traffic? A share of requests also goes to the other backend.

It is asked after the answer has gone out, and only while it has nothing else to do: the shadow
slows or fails no request, and is the first thing to stop under load. Texts are never logged.
"""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence

import numpy as np

from serve_app.dispatcher import Dispatcher
from serve_app.engine.artifacts import ProblemType
from serve_app.engine.postprocess import DEFAULT_FUNCTION, apply, flips
from serve_app.request import REQUEST_ID, Answers
from serve_app.telemetry import SHADOW_OVER, SHADOW_SKIPPED, SHADOWED, Telemetry

OTHER = {"onnx": "transformers", "transformers": "onnx"}
BUSY_TEXTS = 4
"""Texts waiting for a backend from which on it is left alone."""
TIMEOUT_S = 10.0

logger = logging.getLogger("ray.serve")


class Shadow:
    """Asks the other backend about some of the requests, and counts where it disagrees.

    Args:
        share: of requests, 0 to 1.
        bound: |Δscore| that is worth a line in the log.
    """

    def __init__(
        self,
        dispatchers: Mapping[str, Dispatcher],
        problem_type: ProblemType,
        telemetry: Telemetry,
        share: float,
        bound: float,
    ) -> None:
        self._dispatchers = dispatchers
        self._problem_type = problem_type
        self._telemetry = telemetry
        self._share = share
        self._bound = bound
        self._under_way: tuple[asyncio.Task[None], str, int] | None = None

    def follow(self, texts: Sequence[str], answers: Answers) -> None:
        """Ask the other backend too, if this request is one of the share and it has time."""
        if self._share <= 0 or random.random() >= self._share:
            return
        other = OTHER.get(answers.backend)
        if other is None:  # a list that `auto` split between both
            return
        if self._under_way or self._busy():
            self._telemetry.note(SHADOW_SKIPPED)
            return
        task = asyncio.create_task(self._compare(other, list(texts), answers))
        self._under_way = (task, other, len(texts))
        task.add_done_callback(self._ended)

    def give_way(self, texts: int) -> None:
        """End what is under way if others want the model too; call it before texts are queued."""
        if self._under_way and not self._under_way[0].cancelling() and self._busy(texts):
            self._under_way[0].cancel()
            self._telemetry.note(SHADOW_SKIPPED)

    def _busy(self, coming: int = 0) -> bool:
        """Whether so much waits in either queue or comes, the shadow's own texts not counted."""
        _, backend, texts = self._under_way or (None, "", 0)
        return any(
            coming + dispatcher.waiting - (texts if name == backend else 0) >= BUSY_TEXTS
            for name, dispatcher in self._dispatchers.items()
        )

    def _ended(self, _: "asyncio.Task[None]") -> None:
        self._under_way = None

    async def _compare(self, other: str, texts: list[str], answers: Answers) -> None:
        request_id = REQUEST_ID.get()
        try:
            second = await self._dispatchers[other].infer(texts, TIMEOUT_S)
        except Exception as error:  # a shadow that fails must not be seen
            logger.info("shadow of request %s failed: %s", request_id, error)
            return
        function = DEFAULT_FUNCTION[self._problem_type]
        answered = [row for row in range(len(texts)) if row not in second.errors]
        ours, theirs = (apply(each.logits[answered], function) for each in (answers, second))
        flipped = flips(ours, theirs, self._problem_type)
        over = int((np.abs(ours - theirs).max(axis=1) > self._bound).sum())
        agreed = len(answered) - flipped
        if agreed:
            self._telemetry.note(SHADOWED, agreed, agrees="yes")
        if flipped:
            self._telemetry.note(SHADOWED, flipped, agrees="no")
        if over:
            self._telemetry.note(SHADOW_OVER, over)
        if flipped or over:
            logger.warning(
                "request %s: %s and %s differ on %d of %d labels, %d scores by more than %g",
                request_id, answers.backend, other, flipped, len(answered), over, self._bound,
            )  # fmt: skip
