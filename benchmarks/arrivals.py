"""An open-loop load: requests that come at a rate, whether or not earlier ones are answered.

A bare protocol and prepared requests, as in `load`, since it shares the cores with what it
measures; connections are kept and are at most `MOST`.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import urlsplit

from benchmarks.load import requests_for, status_of

MOST = 3000
"""Connections; what comes while all are waiting for an answer is not sent, and counted."""
LOST = 0
"""The status of a request whose connection was lost or could not be opened."""
LATE = -1
"""The status of a request that was not answered in time."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One request.

    Attributes:
        at: seconds after the load began, when it was due; it is sent then or, where the load
            generator was held up, later, which counts.
        ms: until the answer's last byte.
        retry_after: seconds that a refusal says.
    """

    at: float
    status: int
    ms: float
    retry_after: int | None = None


@dataclass(slots=True)
class Arrived:
    """What came of a load: the answers, and when requests were due that could not be sent."""

    answers: list[Answered]
    unsent: list[float] = field(default_factory=list)


async def send(
    url: str, bodies: Sequence[bytes], rate: float, seconds: float, patience: float = 60.0
) -> Arrived:
    """Send requests at `rate` a second, at random moments, and wait for their answers.

    Args:
        patience: seconds that the answers still due at the end are waited for.
    """
    parts = urlsplit(url)
    load = _Load(
        cycle(requests_for(url, bodies)), parts.hostname or "", parts.port or 80, Arrived([])
    )
    dice = random.Random(7)
    due = load.start
    end = load.start + seconds
    while due < end:
        pause = due - time.perf_counter()
        # Even where it is behind, it must let answers in.
        await asyncio.sleep(max(0.0, pause))
        now = time.perf_counter()
        while due <= now and due < end:
            load.ask(due)
            due += dice.expovariate(rate)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while load.busy:
                load.changed.clear()
                await load.changed.wait()
    load.close()
    return load.arrived


class _Load:
    def __init__(self, turn: Iterator[bytes], host: str, port: int, arrived: Arrived) -> None:
        self.arrived = arrived
        self.start = time.perf_counter()
        self.idle: list[_Connection] = []
        self.busy: set[object] = set()
        self.changed = asyncio.Event()
        self._turn = turn
        self._host = host
        self._port = port

    def ask(self, due: float) -> None:
        """Send the next request on a free connection, or open one."""
        request = next(self._turn)
        if self.idle:
            self.idle.pop().ask(request, due)
        elif len(self.busy) < MOST:
            opening = asyncio.create_task(self._open(request, due))
            self.busy.add(opening)
            opening.add_done_callback(self.free)
        else:
            self.arrived.unsent.append(due - self.start)

    def note(self, asked: float, status: int, retry_after: int | None = None) -> None:
        ms = (time.perf_counter() - asked) * 1000
        self.arrived.answers.append(Answered(asked - self.start, status, ms, retry_after))

    def free(self, one: object) -> None:
        self.busy.discard(one)
        self.changed.set()

    def close(self) -> None:
        for one in list(self.busy):
            if isinstance(one, _Connection):
                one.give_up()
        for connection in self.idle:
            connection.transport.abort()

    async def _open(self, request: bytes, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self), self._host, self._port
            )
        except OSError:
            self.note(due, LOST)
            return
        connection.ask(request, due)


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._answer = b""
        self._asked: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes, due: float) -> None:
        self._asked = due
        self._load.busy.add(self)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        status = status_of(self._answer)
        if status is None or self._asked is None:
            return
        self._load.note(self._asked, status, _retry_after(self._answer))
        self._answer, self._asked = b"", None
        self._load.idle.append(self)
        self._load.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._load.idle:
            self._load.idle.remove(self)
        if self._asked is not None:
            self._load.note(self._asked, LOST)
            self._asked = None
        self._load.free(self)

    def give_up(self) -> None:
        """Close it with its answer still due."""
        if self._asked is not None:
            self._load.note(self._asked, LATE)
            self._asked = None
        self.transport.abort()


def _retry_after(answer: bytes) -> int | None:
    head = answer.split(b"\r\n\r\n", 1)[0].lower()
    at = head.find(b"\r\nretry-after:")
    return int(head[at + 14 :].split(b"\r\n", 1)[0]) if at >= 0 else None
