"""Signals that end a command, as exceptions that unwind the stack, so that what is half-written
goes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the request to end, a terminal that is closed."""


class Stopped(BaseException):
    """A signal asked the process to end.

    Attributes:
        code: the exit status a shell expects, 128 and the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


def heard() -> list[signal.Signals]:
    """Those of `SIGNALS` that end this command: `nohup` keeps it alive when the terminal goes."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in SIGNALS if not (number is signal.SIGHUP and ignored)]


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` in the block when a signal comes; elsewhere than in the main thread, where
    Python allows no handlers, the caller's own handling stays."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    with _handling(stop):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no signal break the block off: a second Ctrl-C must not end the tidying up."""
    with _handling(signal.SIG_IGN):
        yield


@contextmanager
def _handling(handler: object) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in heard()}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
