"""What is asked for once however many want it at the same time, and kept for a while."""

import asyncio
import contextvars
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
        asking = self._asking
        if asking is None or asking.cancelled() or (asking.done() and self._is_old()):
            # Ray cancels with a request what was asked in its context: here for everybody.
            asking = asyncio.get_running_loop().create_task(
                self._answer(), context=contextvars.Context()
            )
            # Whoever asked may have gone: the fault is not to be told as nobody's.
            asking.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._asking = asking
        return await asyncio.shield(asking)  # one who hangs up does not end it for the others

    def _is_old(self) -> bool:
        return time.monotonic() >= self._until

    async def _answer(self) -> T:
        try:
            return await self._ask()
        finally:
            self._until = time.monotonic() + self._seconds
