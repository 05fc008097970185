"""The short way to a replica: a connection that stays open, on which a call is one message.

A call by Ray's handle costs several milliseconds of CPU whatever it carries, more than the small
model itself; a message on an open connection costs a tenth of one (docs/decisions). Ray still says
which replicas there are, starts, watches and ends them, and its handle carries the calls while no
link is open.

Messages are msgpack, one after another: reading one runs no code. The first that a client sends is
the replica's token, which only Ray tells. Then [number, call] one way and [number, reply] or
[number, None, error] the other. [number] alone drops a call, which is answered all the same: the
client then knows that the replica is free of it. [None] says that the replica is about to end.
"""

import asyncio
import logging
import socket
from abc import ABC, abstractmethod
from typing import Any

import msgpack

logger = logging.getLogger("ray.serve")

SILENCE_MS = 15_000
"""A peer that acknowledges nothing for so long is gone: its machine was lost."""
BUFFER_BYTES = 2**32 - 1
"""Of a message, whose texts the ingress bounds: another bound here would only break links."""
LENGTH = 100_000
"""Of a list or map, for which msgpack makes room before it has come; a call has dozens of texts."""

Address = tuple[str, str, int, str]
"""A replica's name, host, port and token."""


class Messages(asyncio.Protocol, ABC):
    """One end of a link: whole messages from the bytes that arrive."""

    def __init__(self) -> None:
        # Whatever the texts hold passes, as with Ray: it is the schema that refuses.
        self._unpacker = msgpack.Unpacker(
            max_buffer_size=BUFFER_BYTES,
            max_array_len=LENGTH,
            max_map_len=LENGTH,
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)

    def data_received(self, data: bytes) -> None:
        try:
            self._unpacker.feed(data)
            for message in self._unpacker:
                self.received(message)
        except Exception as error:  # whatever comes, it ends no more than this connection
            logger.warning("a link sent what is no message: %r", error)
            self.transport.abort()

    @abstractmethod
    def received(self, message: Any) -> None:
        """Take one; whatever it raises ends the connection."""

    def send(self, message: Any) -> None:
        if not self.transport.is_closing():
            self.transport.write(pack(message))


def pack(message: Any) -> bytes:
    """The bytes of one message."""
    packed: bytes = msgpack.packb(message, unicode_errors="surrogatepass")
    return packed
