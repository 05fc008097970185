"""Which waiting text comes next: each request gets the same share, however many texts it brings.

Start-time fair queueing (Goyal, Vin, Cheng 1996) with one flow a request: the i-th turn of a
request that arrives at virtual time v is tagged v + i, the lowest tag goes first, and virtual time
is the tag of the text that went last. Of equal tags the one goes first that is nearer to the
beginning of its request. A single text that arrives while a list of 256 is being answered is next;
ten lists advance side by side. A request that comes in parts goes on where its last part ended.

A turn (the quantum of fair queueing) is one text, or some `LONG_TURN` where all requests are long:
a hundred lists of 32 that went on text by text would all end at the very end, on a slow model all
of them too late.
"""

import heapq
from collections.abc import Callable, Hashable, Iterable
from itertools import count
from typing import Generic, TypeVar

Item = TypeVar("Item")
LONG_TURN = 32
"""Texts of a turn among long requests: shorter lists are answered whole, in the order they came."""
FLOWS = 1000
"""Requests in parts that are remembered: the latest ones."""


class FairQueue(Generic[Item]):
    """A queue of items, each a text of some request. Not safe for threads.

    Args:
        turn: texts that a request gets before the next one's go.
    """

    def __init__(self, turn: int = 1) -> None:
        self._turn = turn
        self._heap: list[tuple[int, int, int, Item]] = []
        self._flows: dict[Hashable, tuple[int, int]] = {}  # tag and number of the next text
        self._arrivals = count()
        self._virtual_time = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, request: Iterable[Item], flow: Hashable | None = None) -> None:
        """Put the texts of one request, or of one part of it, which leave in the order given.

        Args:
            flow: the request that these are a part of; None if they are all of it.
        """
        tag, number = self._flows.get(flow, (0, 0)) if flow is not None else (0, 0)
        tag = max(tag, self._virtual_time)
        for item in request:
            turn = number // self._turn
            heapq.heappush(self._heap, (tag, turn, next(self._arrivals), item))
            number += 1
            tag += number // self._turn - turn
        if flow is not None:
            self._flows.pop(flow, None)  # so that the oldest stands first
            self._flows[flow] = (tag, number)
            if len(self._flows) > FLOWS:
                del self._flows[next(iter(self._flows))]

    def keep(self, wanted: Callable[[Item], bool]) -> None:
        """Forget the items that are not wanted any more."""
        self._heap = [entry for entry in self._heap if wanted(entry[3])]
        heapq.heapify(self._heap)

    def pop(self) -> Item:
        """Take the next item.

        Raises:
            IndexError: the queue is empty.
        """
        self._virtual_time, _, _, item = heapq.heappop(self._heap)
        return item
