"""What the requests of one ingress share: bytes of memory or of disk, and places."""

import errno
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from serve_app.api.client import Client
from serve_app.api.errors import OVERLOADED, ProblemError
from serve_app.request import REQUEST_ID

logger = logging.getLogger("ray.serve")


class NoRoomError(OSError):
    """There is not so much left, as of a disk that is full."""


class Room:
    """Bytes that requests take and give back.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> None:
        """Take so many bytes.

        Raises:
            NoRoomError: less is left.
        """
        if size > self._left:
            raise NoRoomError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._left -= size

    def give_back(self, size: int) -> None:
        self._left += size


class Places:
    """How many requests may be at one thing at the same time, and how many of one client.

    Args:
        what: takes them, in a few words.
        limit: how many there are.
        each: how many of them one client may have.
    """

    def __init__(self, what: str, limit: int, each: int) -> None:
        self._what = what
        self._limit = limit
        self._each = each
        self._taken = 0
        self._by_client: Counter[str] = Counter()

    @contextmanager
    def one(self, client: Client) -> Iterator[None]:
        """Have a place.

        Raises:
            ProblemError: 503, none is left for this client.
        """
        if self._taken >= self._limit or self._by_client[client.id] >= self._each:
            logger.warning("request %s: too many %s", REQUEST_ID.get(), self._what)
            detail = f"There are too many {self._what} now."
            raise ProblemError(OVERLOADED, detail, headers={"Retry-After": "1"})
        self._taken += 1
        self._by_client[client.id] += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._by_client[client.id] -= 1
            if not self._by_client[client.id]:
                del self._by_client[client.id]
