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
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serve_app import tracing
from serve_app.engine.fair_queue import LONG_TURN, FairQueue
from serve_app.messages import Call, Floats, Reply

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
    """The queue is full; `retry_after` is the seconds until there should be room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full; there should be room in {retry_after} s")
        self.retry_after = retry_after


class BackendError(Exception):
    """The replicas could not answer; the message is for the client."""


@dataclass(slots=True)
class Answers:
    """One request's rows, in order. Times in ms are those of the text that was answered last.

    Attributes:
        logits: [texts, classes].
        backend: who answered, as `X-Backend` says it.
        batch_size: texts in the batch of the last text.
        truncated: how many texts were longer than the model's maximum length.
        errors: index to message, for texts the model failed on.
    """

    logits: Floats
    backend: str
    queue: float = 0.0
    tokenize: float = 0.0
    inference: float = 0.0
    batch_size: int = 0
    truncated: int = 0
    errors: dict[int, str] = field(default_factory=dict)


class _Request:
    __slots__ = ("answers", "backend", "future", "left", "number", "since", "texts", "trace")

    def __init__(
        self, texts: Sequence[str], future: "asyncio.Future[Answers]", backend: str, number: int
    ) -> None:
        self.backend = backend
        self.number = number
        self.texts = texts
        self.future = future
        self.left = len(texts)
        self.since = time.perf_counter()
        self.answers: Answers | None = None
        self.trace = tracing.current()

    def fill(self, index: int, reply: Reply, row: int, waited: float) -> None:
        if self.answers is None:
            shape = (len(self.texts), reply.logits.shape[1])
            self.answers = Answers(np.empty(shape, dtype=np.float32), self.backend)
        answers = self.answers
        answers.logits[index] = reply.logits[row]
        if row in reply.errors:
            answers.errors[index] = reply.errors[row]
        self.left -= 1
        if self.left == 0:
            answers.queue = waited + float(reply.queue[row])
            answers.tokenize = reply.tokenize
            answers.inference = float(reply.inference[row])
            answers.batch_size = int(reply.batch_size[row])
            if not self.future.done():
                self.future.set_result(answers)


_Items = list[tuple[_Request, list[int]]]


class Dispatcher:
    """Carries the texts of requests to one backend's replicas. Belongs to one event loop.

    Args:
        call: sends a call to some replica of the backend.
        backend: its name.
        ingress: the name of this ingress.
        max_texts, max_requests: that may wait; see `Settings`.
        texts_per_call, calls_per_replica: see `Settings`.
    """

    def __init__(
        self,
        call: Callable[[Call], Awaitable[Reply]],
        *,
        backend: str,
        ingress: str,
        texts_per_call: int,
        calls_per_replica: int,
        max_texts: int,
        max_requests: int,
    ) -> None:
        self._call = call
        self._backend = backend
        self._ingress = ingress
        self._max_texts = max_texts
        self._max_requests = max_requests
        self._short = _Lane(
            functools.partial(self._carry, bulk=False),
            lambda: self.replicas,
            texts_per_call=texts_per_call,
            calls_per_replica=calls_per_replica,
            pause=0,
            turn=1,
        )
        self._bulk = _Lane(
            functools.partial(self._carry, bulk=True),
            lambda: self.replicas,
            texts_per_call=texts_per_call * BULK,
            calls_per_replica=calls_per_replica,
            pause=BULK_PAUSE_S,
            turn=LONG_TURN,
        )
        self._replicas: dict[str, float] = {}
        self._rate = _Rate()
        self._numbers = itertools.count()
        self.waiting = 0
        """Texts that are not yet answered."""
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
        self.require_room(len(texts), within)
        if not self.waiting:
            self._rate.start()
        loop = asyncio.get_running_loop()
        request = _Request(texts, loop.create_future(), self._backend, next(self._numbers))
        self.waiting += len(texts)
        self.requests += 1
        lane = self._short if len(texts) <= SHORT else self._bulk
        lane.add(request)
        try:
            async with asyncio.timeout(within):
                return await request.future
        finally:
            self.waiting -= len(texts)
            self.requests -= 1

    def require_room(self, texts: int, within: float) -> None:
        """Nothing, if a request of so many texts would be let in now.

        Raises:
            OverloadedError: it would not.
        """
        # A request that alone exceeds the queue is let in when the queue is empty.
        full = self.waiting + texts > self._max_texts or self.requests >= self._max_requests
        if self.waiting and full:
            # What waits is answered or dropped within its deadline.
            seconds = min(self._rate.seconds_for(self.waiting), math.ceil(within))
            raise OverloadedError(seconds)

    @property
    def replicas(self) -> int:
        """Replicas that answered lately; 1 if none did."""
        horizon = time.monotonic() - REPLICA_SEEN_S
        if any(at <= horizon for at in self._replicas.values()):
            self._replicas = {name: at for name, at in self._replicas.items() if at > horizon}
        return max(1, len(self._replicas))

    async def _carry(self, items: _Items, *, bulk: bool) -> None:
        sent = time.perf_counter()
        call = Call(
            requests=[[request.texts[i] for i in indices] for request, indices in items],
            ingress=self._ingress,
            waiting=(len(self._short) + len(self._bulk)) / self.replicas,
            flows=tuple(request.number for request, _ in items),
            traces=tuple(r.trace for r, _ in items) if any(r.trace for r, _ in items) else (),
            bulk=bulk,
        )
        try:
            reply = await self._call(call)
        except Exception as error:  # whatever it was, the clients must hear of it
            for request, _ in items:
                if not request.future.done():
                    request.future.set_exception(
                        error if isinstance(error, BackendError) else BackendError(str(error))
                    )
            return
        self._replicas[reply.replica] = time.monotonic()
        row = 0
        truncated = set(reply.truncated)
        for request, indices in items:
            waited = (sent - request.since) * 1000
            for index in indices:
                request.fill(index, reply, row, waited)
                if row in truncated and request.answers is not None:
                    request.answers.truncated += 1
                row += 1
        self._rate.add(row)


class _Lane:
    """Texts that wait for a call, and the calls that are in flight with others before them.

    Args:
        carry: makes one call of some texts.
        replicas: how many there are to call.
        texts_per_call: at most so many.
        calls_per_replica: in flight.
        pause: seconds between two calls.
        turn: see `FairQueue`.
    """

    def __init__(
        self,
        carry: Callable[[_Items], Coroutine[Any, Any, None]],
        replicas: Callable[[], int],
        *,
        texts_per_call: int,
        calls_per_replica: int,
        pause: float,
        turn: int,
    ) -> None:
        self._carry = carry
        self._replicas = replicas
        self._texts_per_call = texts_per_call
        self._calls_per_replica = calls_per_replica
        self._pause = pause
        self._queue: FairQueue[tuple[_Request, int]] = FairQueue(turn)
        self._in_flight: set[asyncio.Task[None]] = set()
        self._due: asyncio.Handle | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, request: _Request) -> None:
        self._queue.add((request, index) for index in range(len(request.texts)))
        self._schedule()

    def _schedule(self, seconds: float = 0) -> None:
        """Send what waits with the next turn of the loop, or so much later."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(seconds, self._pump)

    def _pump(self) -> None:
        self._due = None
        limit = self._calls_per_replica * self._replicas()
        while self._queue and len(self._in_flight) < limit:
            items = self._take()
            if not items:
                return
            traces = (request.trace for request, _ in items if request.trace)
            task = asyncio.get_running_loop().create_task(
                self._carry(items), context=tracing.within(next(traces, ""))
            )
            self._in_flight.add(task)
            task.add_done_callback(self._landed)
            if self._pause:
                self._schedule(self._pause)
                return

    def _landed(self, task: "asyncio.Task[None]") -> None:
        self._in_flight.discard(task)
        if self._queue:
            self._schedule()

    def _take(self) -> _Items:
        """The next texts, by request; [] if whoever asked has gone."""
        taken: dict[_Request, list[int]] = {}
        texts = 0
        while self._queue and texts < self._texts_per_call:
            request, index = self._queue.pop()
            if not request.future.done():
                taken.setdefault(request, []).append(index)
                texts += 1
        return list(taken.items())


class _Rate:
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

    def seconds_for(self, texts: int) -> int:
        """Whole seconds, at least 1, until so many texts are answered."""
        elapsed = time.monotonic() - self._since
        rate = max(self._before, self._now / max(elapsed, self.WINDOW_S), 1.0)
        return max(1, math.ceil(texts / rate))
