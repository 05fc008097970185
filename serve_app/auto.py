"""Both twins as one service (a model cascade with failover): ONNX answers, torch takes the
doubtful texts and stands in.

A text goes on to torch where the margin between ONNX's two best scores is below a threshold that
preparation chose from the noise, and the flips, that it measured. Where ONNX is down, overloaded or
late, torch answers all; where torch is, ONNX's answer stands.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from serve_app.dispatcher import BackendError, OverloadedError
from serve_app.engine.artifacts import ProblemType
from serve_app.engine.postprocess import DEFAULT_FUNCTION, apply, margins
from serve_app.request import Answers
from serve_app.telemetry import ESCALATIONS, FAILOVERS, Telemetry

SECOND_OPINION = 3.0
"""Torch takes several times as long for a text: what is only slow is worth waiting for."""
PATIENT_TEXTS = 64
"""As much patience is given for each so many texts, with those that ONNX has before them: what
waits for others, or for the earlier rows of its own stream, is not late."""
UNAVAILABLE = (OverloadedError, BackendError, TimeoutError)


class Inference(Protocol):
    """Answers the texts of a request; a `Dispatcher`, or both of them as `Auto`."""

    async def infer(self, texts: Sequence[str], within: float) -> Answers:
        """See `Dispatcher.infer`."""
        ...

    def require_room(self, texts: int, within: float) -> None:
        """See `Dispatcher.require_room`."""
        ...

    def room(self, within: float) -> int:
        """See `Dispatcher.room`."""
        ...

    def retry_after(self, texts: int, within: float) -> int:
        """See `Dispatcher.retry_after`."""
        ...

    def ahead(self, texts: int) -> int:
        """See `Dispatcher.ahead`."""
        ...


class Auto:
    """`Inference` over ONNX and torch.

    Args:
        threshold: margin below which a text goes on to torch; 0 never asks it.
        patience: seconds that ONNX is given before torch is asked in its place, and never more than
            half of what there is; torch is given `SECOND_OPINION` times as long before a doubtful
            answer of ONNX stands.
    """

    def __init__(
        self,
        onnx: Inference,
        torch: Inference,
        problem_type: ProblemType,
        threshold: float,
        patience: float,
        telemetry: Telemetry,
    ) -> None:
        self._onnx = onnx
        self._torch = torch
        self._problem_type = problem_type
        self._threshold = threshold
        self._patience = patience
        self._telemetry = telemetry

    async def infer(self, texts: Sequence[str], within: float) -> Answers:
        """Answer the texts of one request.

        Raises:
            OverloadedError, BackendError, TimeoutError: neither backend could answer.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        try:
            patience = self._patient(self._onnx.ahead(len(texts)) + len(texts))
            answers = await self._onnx.infer(texts, min(patience, within / 2))
        except UNAVAILABLE as error:
            return await self._stand_in(texts, deadline - loop.time(), error)
        scores = apply(answers.logits, DEFAULT_FUNCTION[self._problem_type])
        # An error's margin is NaN, which is below nothing.
        doubtful = np.flatnonzero(margins(scores, self._problem_type) < self._threshold).tolist()
        doubtful += [index for index in answers.errors if index not in doubtful]
        if not doubtful:
            return answers
        try:
            second = await self._torch.infer(
                [texts[index] for index in doubtful],
                min(SECOND_OPINION * self._patient(len(doubtful)), deadline - loop.time()),
            )
        except UNAVAILABLE:
            return answers  # doubtful, but an answer
        self._telemetry.note(ESCALATIONS, len(doubtful))
        return _merge(answers, second, doubtful)

    def require_room(self, texts: int, within: float) -> None:
        """See `Dispatcher.require_room`; room in either backend will do."""
        try:
            self._onnx.require_room(texts, within)
        except OverloadedError:
            self._torch.require_room(texts, within)

    def room(self, within: float) -> int:
        """See `Dispatcher.room`; both backends'."""
        return self._onnx.room(within) + self._torch.room(within)

    def retry_after(self, texts: int, within: float) -> int:
        """See `Dispatcher.retry_after`; room in either backend will do."""
        return min(self._onnx.retry_after(texts, within), self._torch.retry_after(texts, within))

    def ahead(self, texts: int) -> int:
        """See `Dispatcher.ahead`; ONNX answers."""
        return self._onnx.ahead(texts)

    def _patient(self, texts: int) -> float:
        return self._patience * max(1.0, texts / PATIENT_TEXTS)

    async def _stand_in(self, texts: Sequence[str], within: float, error: Exception) -> Answers:
        if within <= 0:
            raise error
        answers = await self._torch.infer(texts, within)
        self._telemetry.note(FAILOVERS, len(texts))
        return answers


def _merge(first: Answers, second: Answers, indices: list[int]) -> Answers:
    """`first` with the rows of `second` at `indices`; its times are those of both, in turn.

    Where `second` failed on a text and `first` did not, that one's answer stands.
    """
    rows = [
        at for at, index in enumerate(indices) if at not in second.errors or index in first.errors
    ]
    if not rows:
        return first
    indices = [indices[at] for at in rows]
    logits = first.logits.copy()
    logits[indices] = second.logits[rows]
    errors = {index: what for index, what in first.errors.items() if index not in indices}
    errors |= {
        index: second.errors[at]
        for at, index in zip(rows, indices, strict=True)
        if at in second.errors
    }
    kept = len(logits) - len(indices)
    backend = second.backend
    if kept:
        backend = f"{first.backend};n={kept}, {second.backend};n={len(indices)}"
    return Answers(
        logits=logits,
        backend=backend,
        queue=first.queue + second.queue,
        tokenize=first.tokenize + second.tokenize,
        inference=first.inference + second.inference,
        batch_size=second.batch_size,
        truncated=first.truncated,
        errors=errors,
    )
