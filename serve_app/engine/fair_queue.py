"""Which waiting text comes next: each request gets the same share, however many texts it brings.

Start-time fair queueing (Goyal, Vin, Cheng 1996) with one flow a request: the i-th text of a
request that arrives at virtual time v is tagged v + i, the lowest tag goes first, and virtual time
is the tag of the text that went last. A single text that arrives while a list of 256 is being
answered is next; ten lists advance side by side.
"""

import heapq
from collections.abc import Iterable
from itertools import count
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """A queue of items, each a text of some request. Not safe for threads."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Item]] = []
        self._arrivals = count()
        self._virtual_time = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, request: Iterable[Item]) -> None:
        """Put the texts of one request, which leave in the order given."""
        for rank, item in enumerate(request):
            entry = (self._virtual_time + rank, next(self._arrivals), item)
            heapq.heappush(self._heap, entry)

    def first(self) -> Item:
        """The item that `pop` would take.

        Raises:
            IndexError: the queue is empty.
        """
        return self._heap[0][2]

    def pop(self) -> Item:
        """Take the next item.

        Raises:
            IndexError: the queue is empty.
        """
        self._virtual_time, _, item = heapq.heappop(self._heap)
        return item
