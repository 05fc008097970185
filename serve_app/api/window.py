"""What a quota's count says of the time to come: what is left, and when there is more.

The count is that of the `limits` library's sliding window counter: texts of the current window
and, weighted by how much of it still overlaps, of the one before. It needs two numbers a client
however large the quota is, and a refused request draws nothing.
"""

import math
from dataclasses import dataclass

MARGIN_S = 0.002
"""Redis counts time in milliseconds; a wait that ends just at the border must be over it."""


@dataclass(frozen=True, slots=True)
class Window:
    """The count of one client at one moment.

    Attributes:
        limit: texts that a window of `length` seconds may have.
        before: texts of the previous window.
        before_left: seconds until they no longer count.
        now: texts of the current window.
        now_left: seconds until the current window becomes the previous one.
    """

    limit: int
    length: int
    before: int
    before_left: float
    now: int
    now_left: float

    @property
    def remaining(self) -> int:
        """Texts that would be let in at this moment."""
        counted = math.floor(self.before * self.before_left / self.length) + self.now
        return max(0, self.limit - counted)

    def wait(self, texts: int) -> int:
        """Whole seconds, at least 1, after which so many texts are let in if no others come.

        Args:
            texts: not more than the limit.
        """
        if self.now + texts <= self.limit:
            seconds = self._until(self.before, self.before_left, self.limit - self.now - texts)
        else:
            # Only when the current window has become the previous one can it weigh less.
            seconds = self.now_left + self._until(self.now, self.length, self.limit - texts)
        return max(1, math.floor(seconds + MARGIN_S) + 1)

    def _until(self, count: int, left: float, room: int) -> float:
        """Seconds until `count` texts that count for `left` seconds more weigh at most `room`."""
        if count <= room:
            return 0.0
        return max(0.0, left - (room + 1) * self.length / count)
