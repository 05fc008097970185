"""What the requests of one ingress share: bytes of memory or of disk."""

import errno
import os


class NoRoomError(OSError):
    """There is not so much left, as of a disk that is full."""


class Room:
    """
    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> None:
        """
        Raises:
            NoRoomError: less is left.
        """
        if size > self._left:
            raise NoRoomError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._left -= size

    def give_back(self, size: int) -> None:
        self._left += size
