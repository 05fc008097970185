"""An upload on its way to a slower reader: a bounded file that one side writes, the other reads.

Ray hands every upload to an unbounded queue whether or not the application reads it, so the
ingress reads on and keeps on disk what the model has not taken yet.
"""

import asyncio
import contextlib
import tempfile

from serve_app.api.room import Room

READ_BYTES = 65_536


class SpoolFullError(Exception):
    """More is waiting than the spool may hold."""


class SilentError(Exception):
    """Nothing came for too long."""


class Spool:
    """Bytes in order, written and read by two tasks of one event loop.

    The file is a ring: what comes after its end goes to its beginning, so that it never takes more
    disk than may wait. Writes go to the page cache and are not worth a thread.

    Args:
        limit: bytes that may wait.
        room: what the file's bytes are taken from.
    """

    def __init__(self, limit: int, room: Room) -> None:
        self._limit = limit
        self._room = room
        self._size = 0
        self._file = tempfile.TemporaryFile(prefix="sentiment-stream-")  # noqa: SIM115
        self._written = 0
        self._read = 0
        self._ended = False
        self._failure: Exception | None = None
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Bytes written and not yet read."""
        return self._written - self._read

    def write(self, piece: bytes) -> None:
        """Append.

        Raises:
            SpoolFullError: more than `limit` bytes would wait.
            OSError: the disk is full.
        """
        if self.waiting + len(piece) > self._limit:
            raise SpoolFullError
        if not self.waiting:  # the reader has caught up: begin the file anew
            self._file.seek(0)
            self._file.truncate()
            self._written = self._read = 0
            self._resize(0)
        self._resize(max(self._size, min(self._written + len(piece), self._limit)))
        fits = self._until_end(self._written)
        for part in (piece[:fits], piece[fits:]):
            self._file.seek(self._written % self._limit)
            self._file.write(part)
            self._written += len(part)
        self._changed.set()

    def end(self, failure: Exception | None = None) -> None:
        """No more will be written; `failure` is raised to the reader after what was."""
        self._ended = True
        self._failure = failure
        self._changed.set()

    async def read(self, within: float | None = None) -> bytes:
        """Some bytes that wait, or b"" at the end.

        Args:
            within: seconds that it waits for them.

        Raises:
            SilentError: none came; it may be read again.
            Exception: what `end` was given.
        """
        while not self.waiting:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return b""
            self._changed.clear()
            try:
                async with asyncio.timeout(within):
                    await self._changed.wait()
            except TimeoutError:
                raise SilentError from None
        self._file.seek(self._read % self._limit)
        piece = self._file.read(min(READ_BYTES, self.waiting, self._until_end(self._read)))
        self._read += len(piece)
        return piece

    def _until_end(self, position: int) -> int:
        """Bytes from a position to the end of the ring."""
        return self._limit - position % self._limit

    def _resize(self, size: int) -> None:
        if size > self._size:
            self._room.take(size - self._size)
        else:
            self._room.give_back(self._size - size)
        self._size = size

    def close(self) -> None:
        """Give the disk back."""
        self._resize(0)
        with contextlib.suppress(OSError):  # what a full disk did not take is tried once more
            self._file.close()
