"""Many requests to both backends at a chosen concurrency, each one timed."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from ui import errors
from ui.answers import BACKENDS, Backend, Deployment, Info, Timing
from ui.client import Client
from ui.compare import budgets
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
    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of a core that the page itself took meanwhile, whoever it took them for."""
    last_error: ServiceError | None = None
    stopped_by: ServiceError | None = None

    @property
    def busy(self) -> float:
        """Cores the page itself took while it measured."""
        return self.cpu / self.seconds if self.seconds > 0 else 0.0


class LoadRun(Work):
    """`together` asks both backends at once; else one has the machine to itself at a time."""

    def __init__(
        self, client: Client, texts: Sequence[str], concurrency: int, *, together: bool
    ) -> None:
        super().__init__()
        self.total = len(texts)
        self.blocks = _blocks(texts, together=together)
        self.concurrency = min(concurrency, max(len(part) for _, part in self.blocks[0]))
        self.together = together
        self.sides: dict[Backend, Side] = {backend: Side() for backend in BACKENDS}
        self.info = Info()
        """What was served when the run began, as far as the service said."""
        self.changed = False
        """Whether something else was served when it ended."""
        self.replicas: list[tuple[int, ...]] = []
        """Running ones of each backend, before and after each block; none where none are told."""
        self._client = client

    def work(self) -> None:
        before = self._served()
        self.info = before or Info()
        self._count_replicas()
        for block in self.blocks:
            together("side", [partial(self._measure, *part) for part in block])
            self._count_replicas()
        now = self._served()
        if before and now:
            self.changed = _answering(before) != _answering(now)
        for side in self.sides.values():
            if side.last_error:
                side.last_error = self._client.diagnose(side.last_error)

    def _served(self) -> Info | None:
        try:
            return self._client.info()
        except ServiceError:
            return None

    def _count_replicas(self) -> None:
        """A lone request is answered by one replica, however many there are."""
        if self.concurrency == 1:
            return
        try:
            found = self._client.cluster().deployments
        except ServiceError:
            return
        self.replicas.append(tuple(found.get(b, Deployment()).running for b in BACKENDS))

    def _measure(self, backend: Backend, texts: Sequence[str]) -> None:
        """Ask all texts, once each connection has asked one that is not counted."""
        side = self.sides[backend]
        together("warm-up", [partial(self._ask, backend, texts[0])] * self.concurrency)
        turn, lock = iter(texts), threading.Lock()
        seconds, cpu = time.perf_counter(), time.process_time()
        together(backend, [partial(self._ask_all, backend, turn, lock)] * self.concurrency)
        side.seconds += time.perf_counter() - seconds
        side.cpu += time.process_time() - cpu

    def _ask_all(self, backend: Backend, turn: Iterator[str], lock: threading.Lock) -> None:
        while True:
            with lock:
                text = next(turn, None)
            sample = None if text is None else self._ask(backend, text)
            if sample is None:
                return
            self.sides[backend].samples.append(sample)

    def _ask(self, backend: Backend, text: str) -> Sample | None:
        """Ask once; not at all where the run or its side is over."""
        side = self.sides[backend]
        if self.stopped or side.stopped_by is not None:
            return None
        try:
            answer = self._client.infer(backend, text)
        except ServiceError as error:
            side.last_error = error
            if isinstance(error, HOPELESS):
                side.stopped_by = self._client.diagnose(error)
            return Sample(text, error=error.sentence)
        return Sample(text, answer.round_trip, answer.timing, answer.batch_size)


def _blocks(texts: Sequence[str], *, together: bool) -> list[list[tuple[Backend, Sequence[str]]]]:
    """Which texts each backend is asked, block after block.

    PyTorch, ONNX, ONNX, PyTorch: what changes steadily meanwhile, such as the machine's warmth,
    then falls on both alike.
    """
    if together:
        return [[(backend, texts) for backend in BACKENDS]]
    half = (len(texts) + 1) // 2
    order = [(backend, texts[:half]) for backend in BACKENDS]
    order += [(backend, texts[half:]) for backend in reversed(BACKENDS)]
    return [[part] for part in order if part[1]]


def _answering(info: Info) -> tuple[object, ...]:
    """What a backend's times depend on."""
    return (info.model, info.config_hash, *budgets(info))


def repeated(texts: Sequence[str], count: int) -> list[str]:
    """Take the texts in turn until there are enough."""
    return list(itertools.islice(itertools.cycle(texts), count))
