"""What is asked for once however many want it at the same time, and kept for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """An answer that all who ask within `seconds` of it share, an exception as well.

    Args:
        ask: gets it; belongs to one event loop.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._asking: asyncio.Task[T] | None = None
        self._until = 0.0

    async def get(self) -> T:
        """
        Raises:
            Exception: whatever `ask` raised.
        """
        if self._asking is None or (self._asking.done() and time.monotonic() >= self._until):
            self._asking = asyncio.get_running_loop().create_task(self._answer())
            # Whoever asked may have gone: the fault is not to be told as nobody's.
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._asking)  # one who hangs up does not end it for the others

    async def _answer(self) -> T:
        try:
            return await self._ask()
        finally:
            self._until = time.monotonic() + self._seconds
