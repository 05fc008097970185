"""Progress on standard error: the number of the step, what it does, how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Steps:
    """Counts steps aloud.

    Args:
        total: how many steps there are to be.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    @contextmanager
    def step(self, text: str, *, bars: bool = False) -> Iterator[None]:
        """Announce a step, run it, add its seconds.

        Args:
            text: what is done.
            bars: the step draws progress bars of its own; they get lines of their own.
        """
        self._done += 1
        head = f"[{self._done}/{self._total}] {text}"
        _write(f"{head}\n" if bars else f"{head} ... ")
        start = time.monotonic()
        try:
            yield
        except BaseException:
            _write("" if bars else "failed\n")
            raise
        seconds = f"{time.monotonic() - start:.1f} s\n"
        _write(f"{head}: {seconds}" if bars else seconds)

    def say(self, text: str) -> None:
        """One line between steps."""
        _write(f"{text}\n")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
