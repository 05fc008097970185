"""SIGINT and SIGTERM ask a run to stop between two steps, so that what it keeps is whole."""

import signal
from types import FrameType

INTERRUPTED = 130
_asked = False


def watch_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ask)


def stop_asked() -> bool:
    return _asked


def _ask(_number: int, _frame: FrameType | None) -> None:
    global _asked
    _asked = True
