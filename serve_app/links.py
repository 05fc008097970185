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
import hmac
import itertools
import logging
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgpack

from serve_app.messages import Call, Reply

logger = logging.getLogger("ray.serve")

CONNECT_S = 2.0
SILENCE_MS = 15_000
"""A peer that acknowledges nothing for so long is gone: its machine was lost."""
BUFFER_BYTES = 2**32 - 1
"""Of a message, whose texts the ingress bounds: another bound here would only break links."""
LENGTH = 100_000
"""Of a list or map, for which msgpack makes room before it has come; a call has dozens of texts."""
STRANGER_S = 10.0
"""Within which one must have shown the token."""

Address = tuple[str, str, int, str]
"""A replica's name, host, port and token."""


class LinkError(Exception):
    """The replica is gone, and with it the call that it had."""


class RemoteError(Exception):
    """The replica failed on the call; the message is its own."""


class _Messages(asyncio.Protocol, ABC):
    """Whole messages from what arrives."""

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
            self.transport.write(_pack(message))


def _pack(message: Any) -> bytes:
    packed: bytes = msgpack.packb(message, unicode_errors="surrogatepass")
    return packed


class Door:
    """A replica's end of its links.

    Args:
        answer: what answers a call.

    Attributes:
        hello: the bytes that a client must begin with.
    """

    def __init__(self, answer: Callable[[Call], Awaitable[Reply]]) -> None:
        self._answer = answer
        self._token = secrets.token_hex(32)
        self.hello = _pack(self._token)
        self._server: asyncio.Server | None = None
        self._guests: set[_Guest] = set()
        self._alone = asyncio.Event()
        self._calls: dict[tuple[_Guest, int], asyncio.Task[None]] = {}

    async def open(self, name: str, host: str) -> Address:
        """Listen on a port that the system chooses."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Guest(self), host, 0)
        return name, host, self._server.sockets[0].getsockname()[1], self._token

    async def close(self) -> None:
        """Have no more calls sent; return when every client has its answers and has gone."""
        if self._server is not None:
            self._server.close()
        for guest in self._guests:
            guest.send([None])
        if self._guests:
            await self._alone.wait()

    def enter(self, guest: "_Guest") -> None:
        self._guests.add(guest)
        self._alone.clear()
        if self._server is not None and not self._server.is_serving():
            guest.send([None])  # it knocked before, and comes in after `close`

    def leave(self, guest: "_Guest") -> None:
        self._guests.discard(guest)
        for whose, number in list(self._calls):
            if whose is guest:
                self.drop(guest, number)
        if not self._guests:
            self._alone.set()

    def take(self, guest: "_Guest", number: int, call: Call) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(guest, number, call))
        self._calls[guest, number] = task

        def ended(task: "asyncio.Task[None]") -> None:
            self._calls.pop((guest, number), None)
            if task.cancelled():
                guest.send([number, None, "it was dropped"])
            elif error := task.exception():  # no `Exception`: a panic of the tokenizer's is none
                logger.error("a call failed", exc_info=error)
                guest.send([number, None, str(error) or type(error).__name__])

        task.add_done_callback(ended)

    def drop(self, guest: "_Guest", number: int) -> None:
        """End the work on a call; nothing, if it has ended."""
        if task := self._calls.get((guest, number)):
            task.cancel()

    async def _serve(self, guest: "_Guest", number: int, call: Call) -> None:
        try:
            guest.send([number, (await self._answer(call)).pack()])
        except Exception as error:  # whatever it was, the client must hear of it
            logger.exception("the call of requests %s failed", ", ".join(filter(None, call.ids)))
            guest.send([number, None, str(error) or type(error).__name__])


class _Guest(_Messages):
    """An ingress, as the replica sees it."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self._door = door
        self._admitted = False
        self._hello = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = asyncio.get_running_loop().call_later(STRANGER_S, self._refuse)

    def _refuse(self) -> None:
        logger.warning("a link was refused: not our token")
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._admitted:  # nothing that a stranger sends is unpacked
            self._hello += data
            size = len(self._door.hello)
            if len(self._hello) < size:
                return
            if not hmac.compare_digest(self._hello[:size], self._door.hello):
                self._refuse()
                return
            data = self._hello[size:]
            self._admitted, self._hello = True, b""
            self._deadline.cancel()
            self._door.enter(self)
        super().data_received(data)

    def received(self, message: Any) -> None:
        match message:
            case [int(number), call]:
                self._door.take(self, number, Call.unpack(call))
            case [int(number)]:
                self._door.drop(self, number)
            case _:
                raise ValueError("neither a call nor one to drop")

    def connection_lost(self, error: Exception | None) -> None:
        self._deadline.cancel()
        self._door.leave(self)


class Link(_Messages):
    """An ingress's end of the connection to one replica.

    Attributes:
        calls: in flight.
        open: whether it takes more.
    """

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self.open = True

    @property
    def calls(self) -> int:
        return len(self._waiting)

    async def call(self, call: Call, dropped: "asyncio.Future[None] | None" = None) -> Reply:
        """Have the replica answer.

        Args:
            dropped: once it is done the replica is told to work on it no longer.

        Raises:
            LinkError: it was gone before it did.
            RemoteError: it could not.
        """
        if not self.open:
            raise LinkError("the replica is gone")
        number = next(self._numbers)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future

        def drop(_: object) -> None:
            self.send([number])

        if dropped is not None:
            dropped.add_done_callback(drop)
        try:
            self.send([number, call.pack()])
            return await future
        finally:
            if dropped is not None:
                dropped.remove_done_callback(drop)
            self._waiting.pop(number, None)
            if not self.open:
                self.end()

    def end(self) -> None:
        """Take no more calls; those in flight are waited for."""
        self.open = False
        if not self._waiting:
            self.transport.close()

    def received(self, message: Any) -> None:
        number, *result = message
        if number is None:
            self.end()
        elif (future := self._waiting.get(number)) is None or future.done():
            pass  # whoever asked has gone
        elif len(result) == 1:
            future.set_result(Reply.unpack(result[0]))
        else:
            future.set_exception(RemoteError(result[1]))

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkError("the replica died"))


class Links:
    """An ingress's links to the replicas of one backend, by their names."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}
        self._unreached: set[str] = set()

    def __len__(self) -> int:
        """Of the open ones."""
        return sum(link.open for link in self._links.values())

    def least_busy(self) -> Link | None:
        """The open link with the fewest calls; of equals the one not used for longest."""
        links = [(name, link) for name, link in self._links.items() if link.open]
        if not links:
            return None
        name, link = min(links, key=lambda item: item[1].calls)
        self._links[name] = self._links.pop(name)
        return link

    async def reach(self, addresses: Iterable[Address]) -> None:
        """Have links to these replicas and to no others; one that cannot be reached is left out."""
        known = {address[0]: address for address in addresses}
        for name, link in list(self._links.items()):
            if name not in known:
                link.end()
            if not link.open:
                del self._links[name]
        self._unreached &= known.keys()
        await asyncio.gather(
            *(self._connect(address) for name, address in known.items() if name not in self._links)
        )

    async def _connect(self, address: Address) -> None:
        name, host, port, token = address
        try:
            async with asyncio.timeout(CONNECT_S):
                _, link = await asyncio.get_running_loop().create_connection(Link, host, port)
        except OSError as error:  # a timeout is one too
            if name not in self._unreached:  # it is tried again and again, and told once
                logger.warning("no link to replica %s at %s:%d: %r", name, host, port, error)
            self._unreached.add(name)
            return
        self._unreached.discard(name)
        link.send(token)
        self._links[name] = link
