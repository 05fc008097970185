"""How fast a queue empties: for `Retry-After`, and for whether a text can be answered in time."""

import math
import time


class Rate:
    """Texts a second while texts wait, from counts of the last two windows."""

    WINDOW_S = 2.0
    GUESS = 100.0
    """Before anything was answered: a small model on a slow core."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._now = 0
        self._before = self.GUESS

    def start(self) -> None:
        """The queue was empty: neither that time nor one slow text says how fast it empties."""
        self._since = time.monotonic()
        self._now = 0
        self._before = max(self._before, self.GUESS)

    def add(self, texts: int) -> None:
        self._now += texts
        elapsed = time.monotonic() - self._since
        if elapsed >= self.WINDOW_S:
            self._before = self._now / elapsed
            self._since += elapsed
            self._now = 0

    @property
    def per_second(self) -> float:
        """Texts a second, at least 1."""
        elapsed = time.monotonic() - self._since
        before = self._before if elapsed < 2 * self.WINDOW_S else 0.0  # nothing was answered since
        return max(before, self._now / max(elapsed, self.WINDOW_S), 1.0)

    def seconds_for(self, texts: int) -> int:
        """Whole seconds, at least 1, until so many texts are answered."""
        return max(1, math.ceil(texts / self.per_second))
