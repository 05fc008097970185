"""How the training commands run: they can be asked to stop, and say in a sentence what failed."""

import signal
import sys
from collections.abc import Callable
from types import FrameType

from training.errors import TrainingError
from training.loop import InterruptedRunError
from training.memory import keep_freed_memory

_INTERRUPTED = 130
_asked = False


def run(work: Callable[[], None]) -> int:
    """Do the work; the exit status."""
    keep_freed_memory()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ask_to_stop)
    try:
        work()
    except InterruptedRunError as stop:
        print(f"training: {stop}; the same command goes on from there.", file=sys.stderr)
        return _INTERRUPTED
    except TrainingError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    return 0


def stop_asked() -> bool:
    return _asked


def _ask_to_stop(_number: int, _frame: FrameType | None) -> None:
    # Work looks between steps, so that what it keeps is whole.
    global _asked
    _asked = True
