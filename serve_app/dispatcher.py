"""From the ingress to the replicas of one backend: many waiting texts in few calls.

A call to a replica costs CPU whatever it carries, so texts that wait are carried together. Only
so many calls are in flight for each replica: enough to keep its workers busy, few enough that what
arrives later can still go first (see `fair_queue`).

Short requests and long ones travel in lanes of their own, here and in the replica, so that a single
text neither waits for a long request's calls nor shares one.
"""

import asyncio
import functools
import itertools
import math
import time
from collections.abc import Awaitable, Callable, Sequence

from serve_app.engine.fair_queue import LONG_TURN
from serve_app.lane import Dropped, Items, Lane
from serve_app.messages import Call, Reply
from serve_app.rate import Rate
from serve_app.request import Answers, Request

REPLICA_SEEN_S = 10.0
"""A replica that answered nothing for so long is no longer counted."""
SHORT = 8
"""A request of no more texts is a short one."""
BULK = 2
"""Times as many texts in a call of long requests: nobody waits for the first of them."""
BULK_PAUSE_S = 0.001
"""Between two calls of long requests: a list's calls at once would hold up the event loops, here
and in the replica, and with them every single text."""


class OverloadedError(Exception):
    """The queue is full, or too long for the deadline; `retry_after` is the seconds until there
    should be room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full; there should be room in {retry_after} s")
        self.retry_after = retry_after


class BackendError(Exception):
    """The replicas could not answer; the message is for the client."""


class Dispatcher:
    """Carries the texts of requests to one backend's replicas. Belongs to one event loop.

    Args:
        call: sends a call to some replica of the backend, which is told when it is dropped.
        backend: its name.
        ingress: the name of this ingress.
        max_texts, max_requests, max_characters: that may wait; see `Settings`.
        texts_per_call, calls_per_replica: see `Settings`.
        linked: how many replicas can be called right now.
    """

    def __init__(
        self,
        call: Callable[[Call, Dropped], Awaitable[Reply]],
        *,
        backend: str,
        ingress: str,
        texts_per_call: int,
        calls_per_replica: int,
        max_texts: int,
        max_requests: int,
        max_characters: int,
        linked: Callable[[], int] = lambda: 0,
    ) -> None:
        self._call = call
        self._linked = linked
        self._backend = backend
        self._ingress = ingress
        self._max_texts = max_texts
        self._max_requests = max_requests
        self._max_characters = max_characters
        self._characters = 0
        self._short = Lane(
            functools.partial(self._carry, bulk=False),
            lambda: self.replicas,
            texts_per_call=texts_per_call,
            calls_per_replica=calls_per_replica,
            pause=0,
            patience=REPLICA_SEEN_S,
            turn=1,
        )
        self._bulk = Lane(
            functools.partial(self._carry, bulk=True),
            lambda: self.replicas,
            texts_per_call=texts_per_call * BULK,
            calls_per_replica=calls_per_replica,
            pause=BULK_PAUSE_S,
            patience=REPLICA_SEEN_S,
            turn=LONG_TURN,
        )
        self._replicas: dict[str, float] = {}
        self._rate = Rate()
        self._numbers = itertools.count()
        self.waiting = 0
        """Texts of the requests that are not yet answered."""
        self._waiting_short = 0
        self.requests = 0
        """Requests that they are of."""

    async def infer(self, texts: Sequence[str], within: float) -> Answers:
        """Answer the texts of one request.

        Raises:
            OverloadedError: too much waits already; nothing was queued.
            BackendError: no replica could answer.
            TimeoutError: not all were answered in `within` seconds; those that still
                wait are dropped.
        """
        characters = sum(map(len, texts))
        self.require_room(len(texts), within, characters)
        if not self.waiting:
            self._rate.start()
        loop = asyncio.get_running_loop()
        request = Request(texts, loop.create_future(), self._backend, next(self._numbers))
        short = len(texts) <= SHORT
        self.waiting += len(texts)
        self._waiting_short += len(texts) * short
        self._characters += characters
        self.requests += 1
        lane = self._short if short else self._bulk
        lane.add(request)
        try:
            async with asyncio.timeout(within):
                return await request.future
        finally:
            self.waiting -= len(texts)
            self._waiting_short -= len(texts) * short
            self._characters -= characters
            self.requests -= 1
            if request.left:  # given up, or one of its calls failed
                request.texts = ()  # they count no more, and what the lane still has is small
                lane.leave()
            del request  # or an error's frames would have it, and it the error

    def require_room(self, texts: int, within: float, characters: int = 0) -> None:
        """Nothing, if a request of so many texts would be let in now.

        Raises:
            OverloadedError: it would not.
        """
        # A request that alone exceeds the queue is let in when the queue is empty.
        if self.waiting and not self.room(within, texts, characters):
            raise OverloadedError(self.retry_after(texts, within))

    def room(self, within: float, texts: int = 1, characters: int = 0) -> int:
        """Requests of so many texts for which the queue has room now; 0 where `characters` more are
        too many."""
        if self._characters + characters > self._max_characters:
            return 0
        requests = (self._most(texts, within) - self.ahead(texts)) // texts
        return max(0, min(requests, self._max_requests - self.requests))

    def _most(self, texts: int, within: float) -> int:
        """Texts that may wait, beside which a request of so many is let in."""
        if texts > SHORT:
            return self._max_texts
        # Those that cannot be answered in time had better be told now.
        return min(self._max_texts, max(SHORT, int(self._rate.per_second * within)))

    def retry_after(self, texts: int, within: float) -> int:
        """Seconds until a request of so many should be let in."""
        # What waits is answered or dropped within its deadline.
        return min(self._rate.seconds_for(self.ahead(texts)), math.ceil(within))

    def ahead(self, texts: int) -> int:
        """Texts that a request of so many waits for: short requests do not wait for long ones."""
        return self._waiting_short if texts <= SHORT else self.waiting

    @property
    def replicas(self) -> int:
        """Those that answered lately, or are linked if these are more: one that hangs has its share
        of calls, and the others must keep theirs. 1 if there are none."""
        horizon = time.monotonic() - REPLICA_SEEN_S
        if any(at <= horizon for at in self._replicas.values()):
            self._replicas = {name: at for name, at in self._replicas.items() if at > horizon}
        return max(1, len(self._replicas), self._linked())

    async def _carry(self, items: Items, dropped: Dropped, *, bulk: bool) -> None:
        sent = time.perf_counter()
        call = Call(
            requests=[[request.texts[i] for i in indices] for request, indices in items],
            ingress=self._ingress,
            waiting=(len(self._short) + len(self._bulk)) / self.replicas,
            flows=tuple(request.number for request, _ in items),
            traces=tuple(r.trace for r, _ in items) if any(r.trace for r, _ in items) else (),
            ids=tuple(request.id for request, _ in items),
            bulk=bulk,
        )
        try:
            reply = await self._call(call, dropped)
        except (Exception, asyncio.CancelledError) as error:
            # Whatever it was, the clients must hear of it; Ray may have cancelled the call.
            if not isinstance(error, BackendError):
                error = BackendError(str(error) or type(error).__name__)
            for request, _ in items:
                if not request.future.done():
                    # Without its frames, which have the request: it would end with the garbage
                    # collector's next round, texts and all.
                    request.future.set_exception(error.with_traceback(None))
            return
        self._replicas[reply.replica] = time.monotonic()
        row = 0
        for request, indices in items:
            waited = (sent - request.since) * 1000
            for index in indices:
                request.fill(index, reply, row, waited)
                row += 1
        self._rate.add(row)
