"""A dispatcher's short or its long requests: what waits for a call, and the calls in flight."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from serve_app import tracing
from serve_app.engine.fair_queue import FairQueue
from serve_app.request import Request

Items = list[tuple[Request, list[int]]]
"""What a call carries: of each request the places of its texts."""


Dropped = asyncio.Future[None]
"""Is done once nobody waits for a call any more."""


SWEPT = 256
"""Texts that nobody waits for any more are not looked for among fewer."""


@dataclass(frozen=True, slots=True)
class _Flight:
    since: float
    items: Items
    dropped: Dropped

    @property
    def awaited(self) -> bool:
        return not all(request.future.done() for request, _ in self.items)


class Lane:
    """Texts that wait for a call, and the calls that are in flight with others before them.

    Args:
        carry: makes one call of some texts, and has it dropped when it is told so.
        replicas: how many there are to call.
        texts_per_call: at most so many.
        calls_per_replica: in flight.
        pause: seconds between two calls.
        patience: seconds after which a call that nobody waits for any more holds no place: what has
            it hangs, and the others must not starve for that.
        turn: see `FairQueue`.
    """

    def __init__(
        self,
        carry: Callable[[Items, Dropped], Coroutine[Any, Any, None]],
        replicas: Callable[[], int],
        *,
        texts_per_call: int,
        calls_per_replica: int,
        pause: float,
        patience: float,
        turn: int,
    ) -> None:
        self._carry = carry
        self._replicas = replicas
        self._texts_per_call = texts_per_call
        self._calls_per_replica = calls_per_replica
        self._pause = pause
        self._patience = patience
        self._queue: FairQueue[tuple[Request, int]] = FairQueue(turn)
        self._in_flight: dict[asyncio.Task[None], _Flight] = {}
        self._swept = SWEPT
        self._due: asyncio.Handle | None = None
        self._again: asyncio.Handle | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, request: Request) -> None:
        self._queue.add((request, index) for index in range(len(request.texts)))
        self._schedule()

    def _schedule(self, seconds: float = 0) -> None:
        """Send what waits with the next turn of the loop, or so much later."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(seconds, self._pump)

    def _pump(self) -> None:
        self._due = None
        while self._queue and self._has_place():
            items = self._take()
            if not items:
                return
            traces = (request.trace for request, _ in items if request.trace)
            loop = asyncio.get_running_loop()
            dropped: Dropped = loop.create_future()
            task = loop.create_task(
                self._carry(items, dropped), context=tracing.within(next(traces, ""))
            )
            self._in_flight[task] = _Flight(time.monotonic(), items, dropped)
            task.add_done_callback(self._landed)
            if self._pause:
                self._schedule(self._pause)
                return
        if self._queue and self._again is None:  # a place may also come free by time alone
            self._again = asyncio.get_running_loop().call_later(self._patience, self._later)

    def _later(self) -> None:
        self._again = None
        self._look()

    def _has_place(self) -> bool:
        limit = self._calls_per_replica * self._replicas()
        if len(self._in_flight) < limit:
            return True
        horizon = time.monotonic() - self._patience
        held = (call.since > horizon or call.awaited for call in self._in_flight.values())
        return sum(held) < limit

    def _landed(self, task: "asyncio.Task[None]") -> None:
        del self._in_flight[task]
        self._look()

    def leave(self) -> None:
        """Somebody who asked has gone: drop what nobody waits for any more."""
        for call in self._in_flight.values():
            if not call.awaited and not call.dropped.done():
                call.dropped.set_result(None)
        # Of what waits too, or impatient clients filled the memory and had replicas started for
        # nobody. Not each time, since all that waits is walked.
        if len(self._queue) > self._swept:
            self._queue.keep(lambda item: not item[0].future.done())
            self._swept = max(SWEPT, 2 * len(self._queue))
        self._look()

    def _look(self) -> None:
        """See whether something that waits can be sent now."""
        if self._queue:
            self._schedule()

    def _take(self) -> Items:
        """The next texts, by request; [] if whoever asked has gone."""
        taken: dict[Request, list[int]] = {}
        texts = 0
        while self._queue and texts < self._texts_per_call:
            request, index = self._queue.pop()
            if not request.future.done():
                taken.setdefault(request, []).append(index)
                texts += 1
        return list(taken.items())
