"""A replica's end of its links."""

import asyncio
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from serve_app.link_protocol import Address, Messages, pack
from serve_app.messages import Call, Reply

logger = logging.getLogger("ray.serve")

STRANGER_S = 10.0
"""Within which one must have shown the token."""


class LinkServer:
    """A replica's end of its links.

    Args:
        answer: what answers a call.

    Attributes:
        handshake: the bytes that a client must begin with.
    """

    def __init__(self, answer: Callable[[Call], Awaitable[Reply]]) -> None:
        self._answer = answer
        self._token = secrets.token_hex(32)
        self.handshake = pack(self._token)
        self._server: asyncio.Server | None = None
        self._peers: set[_Peer] = set()
        self._drained = asyncio.Event()
        self._calls: dict[tuple[_Peer, int], asyncio.Task[None]] = {}

    async def open(self, name: str, host: str) -> Address:
        """Listen on a port that the system chooses."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Peer(self), host, 0)
        return name, host, self._server.sockets[0].getsockname()[1], self._token

    async def close(self) -> None:
        """Have no more calls sent; return when every client has its answers and has gone."""
        if self._server is not None:
            self._server.close()
        for peer in self._peers:
            peer.send([None])
        if self._peers:
            await self._drained.wait()

    def enter(self, peer: "_Peer") -> None:
        self._peers.add(peer)
        self._drained.clear()
        if self._server is not None and not self._server.is_serving():
            peer.send([None])  # it connected before `close` and shows its token after it

    def leave(self, peer: "_Peer") -> None:
        self._peers.discard(peer)
        for whose, number in list(self._calls):
            if whose is peer:
                self.drop(peer, number)
        if not self._peers:
            self._drained.set()

    def take(self, peer: "_Peer", number: int, call: Call) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(peer, number, call))
        self._calls[peer, number] = task

        def ended(task: "asyncio.Task[None]") -> None:
            self._calls.pop((peer, number), None)
            if task.cancelled():
                peer.send([number, None, "it was dropped"])
            elif error := task.exception():  # no `Exception`: a panic of the tokenizer's is none
                logger.error("a call failed", exc_info=error)
                peer.send([number, None, str(error) or type(error).__name__])

        task.add_done_callback(ended)

    def drop(self, peer: "_Peer", number: int) -> None:
        """End the work on a call; nothing, if it has ended."""
        if task := self._calls.get((peer, number)):
            task.cancel()

    async def _serve(self, peer: "_Peer", number: int, call: Call) -> None:
        try:
            peer.send([number, (await self._answer(call)).pack()])
        except Exception as error:  # whatever it was, the client must hear of it
            logger.exception("the call of requests %s failed", ", ".join(filter(None, call.ids)))
            peer.send([number, None, str(error) or type(error).__name__])


class _Peer(Messages):
    """An ingress, as the replica sees it."""

    def __init__(self, server: LinkServer) -> None:
        super().__init__()
        self._server = server
        self._admitted = False
        self._handshake = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = asyncio.get_running_loop().call_later(STRANGER_S, self._refuse)

    def _refuse(self) -> None:
        logger.warning("a link was refused: not our token")
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._admitted:  # nothing that a stranger sends is unpacked
            self._handshake += data
            size = len(self._server.handshake)
            if len(self._handshake) < size:
                return
            if not hmac.compare_digest(self._handshake[:size], self._server.handshake):
                self._refuse()
                return
            data = self._handshake[size:]
            self._admitted, self._handshake = True, b""
            self._deadline.cancel()
            self._server.enter(self)
        super().data_received(data)

    def received(self, message: Any) -> None:
        match message:
            case [int(number), call]:
                self._server.take(self, number, Call.unpack(call))
            case [int(number)]:
                self._server.drop(self, number)
            case _:
                raise ValueError("neither a call nor one to drop")

    def connection_lost(self, error: Exception | None) -> None:
        self._deadline.cancel()
        self._server.leave(self)
