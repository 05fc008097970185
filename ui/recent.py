"""A value that is asked for again only once it has become old."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

ERROR_S = 1.0
"""So long an error is told again without asking: long enough for all who wait for one answer."""


class Recent(Generic[T]):
    """Shared by all sessions: whoever comes while one asks waits for that answer."""

    def __init__(
        self, ask: Callable[[], T], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._value: T | None = None
        self._error: Exception | None = None
        self._until = 0.0

    def get(self) -> T:
        """Give the value, or raise what the asking raised."""
        with self._lock:
            if self._clock() < self._until:
                if self._error is not None:
                    raise self._error
                if self._value is not None:
                    return self._value
            self._value = self._error = None
            try:
                self._value = self._ask()
            except Exception as error:
                self._error = error
                self._until = self._clock() + min(ERROR_S, self._seconds)
                raise
            self._until = self._clock() + self._seconds
            return self._value
