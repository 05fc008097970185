"""Work that goes on while a page redraws itself, in a thread of its own."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, Self, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

_going_on: set["Work"] = set()
_lock = threading.Lock()

ABANDONED_S = 600.0
"""Work nobody has looked at for so long ends: its page was closed."""


class _Job(threading.Thread, Generic[T]):
    def __init__(self, name: str, do: Callable[[], T]) -> None:
        super().__init__(name=name, daemon=True)
        self._do = do
        self._result: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result.append(self._do())
        except BaseException as error:
            self._error = error

    def result(self) -> T:
        self.join()
        if self._error is not None:
            raise self._error
        return self._result[0]


def together(name: str, jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Do all jobs at the same time; give their results in order, or raise the first error.

    A pool of `concurrent.futures` would keep the process from ending until its jobs are done.
    """
    started = [_Job(f"{name}-{number}", do) for number, do in enumerate(jobs)]
    for job in started:
        job.start()
    for job in started:
        job.join()
    return [job.result() for job in started]


class Work(ABC):
    """Start it, watch it from any session run, cancel it; what is done stays."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._seen = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self._ended = threading.Event()
        self.cancelled = False
        self.abandoned = False
        self.failed = False
        self.disturbed = False
        """Whether other work of this process, of any session, ran while this did."""

    def start(self) -> Self:
        self._thread.start()
        return self

    def watch(self) -> None:
        """Say that somebody still looks."""
        self._seen = time.monotonic()

    def cancel(self) -> None:
        self.cancelled = True
        self._stop.set()

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    @property
    def wanted(self) -> bool:
        """Whether it runs, and nobody has cancelled it."""
        return self.running and not self.cancelled

    @property
    def stopped(self) -> bool:
        """Whether the work should go no further."""
        if not self._stop.is_set() and time.monotonic() - self._seen > ABANDONED_S:
            self.abandoned = True
            self._stop.set()
        return self._stop.is_set()

    @property
    def cut_short(self) -> str | None:
        """Who ended it before its end, where somebody did."""
        if self.cancelled:
            return "Cancelled"
        if self.abandoned:
            return f"Ended, since nobody had looked at it for {ABANDONED_S / 60:.0f} minutes"
        if self.failed:
            return "Ended by a fault of the page, which its log has"
        return None

    def wait(self, seconds: float) -> None:
        """Pause the work; a cancel ends the pause."""
        self._stop.wait(seconds)

    def join(self, seconds: float) -> bool:
        """Wait for the end; say whether it came."""
        return self._ended.wait(seconds)

    def _run(self) -> None:
        with _lock:
            for other in _going_on:
                self.disturbed = other.disturbed = True
            _going_on.add(self)
        try:
            self.work()
        except Exception:
            logger.exception("%s failed", type(self).__name__)
            self.failed = True
        finally:
            with _lock:
                _going_on.remove(self)
            self._ended.set()

    @abstractmethod
    def work(self) -> None:
        """Do it, looking at `stopped` between steps."""
