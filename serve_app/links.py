"""An ingress's end of its links to the replicas of a backend."""

import asyncio
import itertools
import logging
from collections.abc import Iterable
from typing import Any

from serve_app.link_protocol import Address, Messages
from serve_app.messages import Call, Reply

logger = logging.getLogger("ray.serve")

CONNECT_S = 2.0


class LinkError(Exception):
    """The replica is gone, and with it the call that it had."""


class RemoteError(Exception):
    """The replica failed on the call; the message is its own."""


class Link(Messages):
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
