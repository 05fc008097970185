"""Waiting texts to batches: model workers draw from one queue, neighbours in length together.

Padding is computed like text, so a batch of mixed lengths is slower than no batch. A worker that
is free takes the text whose turn it is and fills up with those nearest to it in length, within a
`Budget`. Workers are threads that draw for themselves: going through the event loop between two
batches would leave the model idle for as long as the loop is busy.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt

from serve_app.engine.backend import Encoded
from serve_app.engine.fair_queue import FairQueue
from serve_app.engine.postprocess import Logits

TAKEN = 64
"""Texts that left before their turn may stay among those that wait for it, beside as many again
as do wait."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a batch may hold. A text that exceeds it by itself is a batch of its own.

    Attributes:
        texts: at most so many texts.
        tokens: at most so many tokens, padding included.
        padding: at most this share of them may be padding.
    """

    texts: int = 8
    tokens: int = 2048
    padding: float = 0.15

    def __post_init__(self) -> None:
        if self.texts < 1 or self.tokens < 1 or not 0 <= self.padding <= 1:
            raise ValueError(f"no batch fits into {self}")

    def allows(self, texts: int, longest: int, tokens: int) -> bool:
        """Whether `texts` texts of `tokens` tokens in all, padded to `longest`, fit."""
        padded = texts * longest
        return (
            texts <= self.texts
            and padded <= self.tokens
            and padded - tokens <= self.padding * padded
        )


@dataclass(frozen=True, slots=True)
class Scored:
    """One text's logits and the way they came about.

    Attributes:
        logits: [classes].
        queue: seconds between submission and the start of its batch.
        inference: seconds that its batch took.
        batch_size: texts in that batch.
    """

    logits: npt.NDArray[np.float32]
    queue: float
    inference: float
    batch_size: int


class ClosedError(Exception):
    """The batcher was closed and takes no more texts."""


class _Waiting:
    __slots__ = ("encoded", "future", "since", "taken")

    def __init__(self, encoded: Encoded, future: "asyncio.Future[Scored]") -> None:
        self.encoded = encoded
        self.future = future
        self.since = time.perf_counter()
        self.taken = False


class Batcher:
    """Runs a model on waiting texts with several workers.

    `submit` belongs to one event loop; the model runs in threads of the batcher's own.

    Args:
        run: the model: encoded texts to logits, safe to call from several threads.
        workers: threads that call it.
        budget: what one call may be given.
        niceness: how far the threads stand back behind others that want the CPU (Linux: `nice`
            is a thread's own there); each step is some 20 % less of a core that two want.
        turn: see `FairQueue`.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Encoded]], Logits],
        workers: int,
        budget: Budget,
        niceness: int = 0,
        turn: int = 1,
    ) -> None:
        self._run = run
        self._niceness = niceness
        self._budget = budget
        self._turns: FairQueue[_Waiting] = FairQueue(turn)
        self._waiting: dict[int, list[_Waiting]] = {}  # by length
        self._count = 0
        self._idle = 0
        self._closed = False
        self._changed = threading.Condition()
        self._running: dict[int, tuple[float, int]] = {}  # worker -> (since, texts)
        self._threads = [
            threading.Thread(target=self._work, args=(n,), name=f"model-{n}", daemon=True)
            for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, requests: Iterable[Sequence[Encoded]], flows: Iterable[Hashable] | None = None
    ) -> list["asyncio.Future[Scored]"]:
        """Queue the texts of one or more requests, each request with its own turn.

        Args:
            flows: which request each is a part of; None if all are whole.

        Returns:
            One future a text, in order. Cancelling it gives the text's place up.

        Raises:
            ClosedError: the batcher was closed.
            Exception (from a future): whatever the model raised on this text by itself.
        """
        loop = asyncio.get_running_loop()
        futures = []
        with self._changed:
            if self._closed:
                raise ClosedError("the model is shutting down")
            for request, flow in zip(requests, flows or repeat(None), strict=False):
                items = [_Waiting(encoded, loop.create_future()) for encoded in request]
                self._turns.add(items, flow)
                for item in items:
                    self._waiting.setdefault(len(item.encoded), []).append(item)
                    futures.append(item.future)
                self._count += len(items)
            self._changed.notify(len(futures))
        return futures

    @property
    def texts(self) -> int:
        """Texts that wait or are being run."""
        with self._changed:
            return self._count + sum(texts for _, texts in self._running.values())

    @property
    def stuck(self) -> float:
        """Seconds that the longest running batch has been running; inf if a worker has died."""
        with self._changed:
            if not self._closed and not all(thread.is_alive() for thread in self._threads):
                return float("inf")
            oldest = min((since for since, _ in self._running.values()), default=None)
        return 0.0 if oldest is None else time.perf_counter() - oldest

    def close(self) -> None:
        """Take no more texts; the workers end when those that wait are answered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=5)

    def _work(self, worker: int) -> None:
        os.nice(self._niceness)
        while True:
            with self._changed:
                self._running.pop(worker, None)
                self._idle += 1
                while not self._count and not self._closed:
                    self._changed.wait()
                if not self._count:
                    return
                batch = self._take()
                if len(self._turns) > 2 * self._count + TAKEN:
                    self._turns.keep(lambda item: not item.taken)
                self._idle -= 1
                if batch:
                    self._running[worker] = (time.perf_counter(), len(batch))
            if batch:
                self._answer(batch)

    def _take(self) -> list[_Waiting]:
        """The text whose turn it is with its neighbours in length; [] if all have gone."""
        first = self._next()
        if first is None:
            return []
        # Workers that stand idle together share what there is.
        most = min(self._budget.texts, -(-(self._count + 1) // max(1, self._idle)))
        batch = [first]
        longest = tokens = len(first.encoded)
        lengths = sorted(self._waiting, key=lambda length: abs(length - longest))
        for length in lengths:
            top = max(longest, length)
            items = self._waiting[length]
            while (
                items
                and len(batch) < most
                and self._budget.allows(len(batch) + 1, top, tokens + length)
            ):
                item = items.pop(0)
                item.taken = True
                self._count -= 1
                if item.future.cancelled():
                    continue
                batch.append(item)
                tokens += length
                longest = top
            if not items:
                del self._waiting[length]
            if len(batch) >= most:
                break
        return batch

    def _next(self) -> _Waiting | None:
        while self._turns:
            item = self._turns.pop()
            if item.taken or not self._count:
                continue
            item.taken = True
            same_length = self._waiting[len(item.encoded)]
            same_length.remove(item)
            if not same_length:
                del self._waiting[len(item.encoded)]
            self._count -= 1
            if not item.future.cancelled():
                return item
        return None

    def _answer(self, batch: list[_Waiting]) -> None:
        start = time.perf_counter()
        results: list[Scored | Exception]
        try:
            logits = self._run([item.encoded for item in batch])
            took = time.perf_counter() - start
            results = [
                Scored(row, start - item.since, took, len(batch))
                for item, row in zip(batch, logits, strict=True)
            ]
        except Exception as error:
            if len(batch) > 1:  # one text's fault must not be its neighbours'
                for item in batch:
                    self._answer([item])
                return
            results = [error]
        loop = batch[0].future.get_loop()
        try:
            loop.call_soon_threadsafe(_deliver, batch, results)
        except RuntimeError:
            return  # the loop has ended, and with it whoever asked


def _deliver(batch: list[_Waiting], results: list[Scored | Exception]) -> None:
    for item, result in zip(batch, results, strict=True):
        if item.future.done():  # a client that hung up
            continue
        if isinstance(result, Exception):
            item.future.set_exception(result)
        else:
            item.future.set_result(result)
