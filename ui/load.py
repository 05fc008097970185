"""Many requests to both backends at a chosen concurrency, each one timed."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from ui import errors
from ui.answers import BACKENDS, Backend, Timing
from ui.client import Client
from ui.errors import ServiceError
from ui.work import Work, together

HOPELESS = (
    errors.UnreachableError,
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.NotThereError,
    errors.OverQuotaError,
)
"""After one of these more requests tell nothing new."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured request; `error` says in words why it has no time."""

    text: str
    round_trip: float | None = None
    timing: Timing | None = None
    batch_size: int | None = None
    error: str | None = None


@dataclass
class Side:
    """One backend's part of a run."""

    samples: list[Sample] = field(default_factory=list)
    started: float | None = None
    ended: float | None = None
    stopped_by: ServiceError | None = None

    @property
    def seconds(self) -> float:
        if self.started is None:
            return 0.0
        return (self.ended or time.perf_counter()) - self.started


class LoadRun(Work):
    """`together` asks both backends at once; else one has the machine to itself at a time."""

    def __init__(
        self, client: Client, texts: Sequence[str], concurrency: int, *, together: bool
    ) -> None:
        super().__init__()
        self.total = len(texts)
        self.concurrency = min(concurrency, len(texts))
        self.together = together
        self.sides: dict[Backend, Side] = {backend: Side() for backend in BACKENDS}
        self._client = client
        self._texts = texts

    def work(self) -> None:
        sides = [partial(self._side, backend) for backend in BACKENDS]
        if self.together:
            together("side", sides)
        else:
            for side in sides:
                side()

    def _side(self, backend: Backend) -> None:
        side = self.sides[backend]
        texts = iter(self._texts)
        lock = threading.Lock()
        warm = threading.Barrier(self.concurrency, action=lambda: _start(side))
        worker = partial(self._worker, backend, side, texts, lock, warm)
        together(backend, [worker] * self.concurrency)
        side.ended = time.perf_counter()

    def _worker(
        self,
        backend: Backend,
        side: Side,
        texts: Iterator[str],
        lock: threading.Lock,
        warm: threading.Barrier,
    ) -> None:
        try:
            if not self._over(side):
                self._measure(backend, self._texts[0], side)
        except BaseException:
            warm.abort()
            raise
        warm.wait()
        while not self._over(side):
            with lock:
                text = next(texts, None)
            if text is None:
                return
            sample = self._measure(backend, text, side)
            side.samples.append(sample)

    def _measure(self, backend: Backend, text: str, side: Side) -> Sample:
        try:
            answer = self._client.infer(backend, text)
        except ServiceError as error:
            if isinstance(error, HOPELESS):
                side.stopped_by = self._client.diagnose(error)
            return Sample(text, error=error.sentence)
        return Sample(text, answer.round_trip, answer.timing, answer.batch_size)

    def _over(self, side: Side) -> bool:
        return self.stopped or side.stopped_by is not None


def _start(side: Side) -> None:
    side.started = time.perf_counter()


def repeated(texts: Sequence[str], count: int) -> list[str]:
    """Take the texts in turn until there are enough."""
    return list(itertools.islice(itertools.cycle(texts), count))
