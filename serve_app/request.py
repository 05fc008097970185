"""One request's texts on their way, and the answers that come back."""

import asyncio
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from serve_app import tracing
from serve_app.messages import Floats, Reply

REQUEST_ID: ContextVar[str] = ContextVar("request id", default="")
"""The `X-Request-Id` of what is being answered, for the logs of all that take part in it."""


@dataclass(slots=True)
class Answers:
    """One request's rows, in order. Times in ms are those of the text that was answered last.

    Attributes:
        logits: [texts, classes].
        backend: who answered, as `X-Backend` says it.
        batch_size: texts in the batch of the last text.
        truncated: how many texts were longer than the model's maximum length.
        errors: index to message, for texts the model failed on.
    """

    logits: Floats
    backend: str
    queue: float = 0.0
    tokenize: float = 0.0
    inference: float = 0.0
    batch_size: int = 0
    truncated: int = 0
    errors: dict[int, str] = field(default_factory=dict)


class Request:
    """One request's texts on their way; `future` gets the `Answers` once `left` is 0."""

    __slots__ = (
        "answers", "backend", "future", "id", "left", "number", "since", "texts", "trace",
    )  # fmt: skip

    def __init__(
        self, texts: Sequence[str], future: "asyncio.Future[Answers]", backend: str, number: int
    ) -> None:
        self.backend = backend
        self.number = number
        self.texts = texts
        self.future = future
        self.left = len(texts)
        self.since = time.perf_counter()
        self.answers: Answers | None = None
        self.trace = tracing.current()
        self.id = REQUEST_ID.get()

    def fill(self, index: int, reply: Reply, row: int, waited: float) -> None:
        """Take the answer of one text; nothing, once nobody waits for it."""
        if self.future.done():
            return
        if self.answers is None:
            shape = (len(self.texts), reply.logits.shape[1])
            self.answers = Answers(np.empty(shape, dtype=np.float32), self.backend)
        answers = self.answers
        answers.logits[index] = reply.logits[row]
        if row in reply.errors:
            answers.errors[index] = reply.errors[row]
        answers.truncated += row in reply.truncated
        self.left -= 1
        if self.left == 0:
            answers.queue = waited + float(reply.queue[row])
            answers.tokenize = reply.tokenize
            answers.inference = float(reply.inference[row])
            answers.batch_size = int(reply.batch_size[row])
            self.future.set_result(answers)
