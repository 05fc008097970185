"""A load generator: so many clients that ask again as soon as they are answered.

A bare protocol and prepared requests, since it shares the cores with what it measures.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from urllib.parse import urlsplit

from benchmarks.texts import texts

PAUSE_S = 0.05
"""Before a lost connection is opened again: a dead server must not become a busy loop."""
OPENING_S = 0.005
"""Between the first connections: of many at once one worker of several may take them all."""
PATIENCE_S = 90.0


@dataclass(frozen=True)
class Result:
    """What was answered in one window of time. Latencies in ms, rates a second, cpu in seconds.

    Attributes:
        requests: answers of status 200 that came within the window; the latencies are theirs.
        errors: other answers, and connections lost with a request under way.
        answered: what the rates are of: of each request that was answered, then or later, the part
            of its time that lies in the window. Of slow ones few begin or end in it, by chance.
        cpu: what `meter` grew by within the window; None without a meter.
    """

    concurrency: int
    requests: int
    errors: int
    answered: float
    seconds: float
    requests_per_second: float
    texts_per_second: float
    p50: float | None
    p95: float | None
    p99: float | None
    cpu: float | None = None


def requests_for(url: str, bodies: Sequence[bytes]) -> list[bytes]:
    """Whole HTTP/1.1 requests, one for each body."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )
    return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]


async def run(
    url: str,
    bodies: Sequence[bytes],
    concurrency: int,
    seconds: float,
    texts_each: int = 1,
    *,
    warm_up: float = 0.0,
    least: int = 0,
    longest: float = 30.0,
    patience: float = PATIENCE_S,
    meter: Callable[[], float] | None = None,
) -> Result:
    """Keep `concurrency` requests under way, and see what is answered within a window.

    Args:
        bodies: JSON bodies, taken in turn.
        texts_each: texts in each body.
        warm_up: seconds of load before the window opens.
        least: answers for which the warm-up and the window, each, wait beyond their seconds, so
            that a slow server is seen at work and not on its way there.
        longest: seconds after which they wait no more.
        patience: seconds that the answers still due at the end are waited for; those that take
            longer are errors.
        meter: CPU seconds that the server has taken so far.
    """
    parts = urlsplit(url)
    load = _Load(cycle(requests_for(url, bodies)))
    clients = []
    for _ in range(concurrency):
        clients.append(asyncio.create_task(_client(load, parts.hostname or "", parts.port or 80)))
        await asyncio.sleep(OPENING_S)
    await load.answers(least, warm_up, longest)
    # To look at a server's processes takes a while, in which answers must not wait to be seen.
    began, before = await _read(meter)
    load.open()
    await load.answers(least, seconds, longest)
    took = load.close()
    ended, after = await _read(meter)
    _, late = await asyncio.wait(clients, timeout=patience)
    for task in late:
        task.cancel()
    await asyncio.wait(clients)
    for failed in [task for task in clients if task not in late and task.exception()]:
        raise failed.exception()  # type: ignore[misc]
    latencies = sorted(load.latencies)
    return Result(
        concurrency=concurrency,
        requests=len(latencies),
        errors=load.errors + len(late),
        answered=(answered := load.answered()),
        seconds=took,
        requests_per_second=answered / took,
        texts_per_second=answered * texts_each / took,
        p50=percentile(latencies, 0.5),
        p95=percentile(latencies, 0.95),
        p99=percentile(latencies, 0.99),
        cpu=(after - before) * took / (ended - began) if meter else None,
    )


async def _read(meter: Callable[[], float] | None) -> tuple[float, float]:
    """When a meter was read, and what it said."""
    said = await asyncio.to_thread(meter) if meter else 0.0
    return time.perf_counter(), said


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The value that `share` of the ordered values are not above; None of none."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class _Load:
    """What all clients share: the requests to send, and what the window saw."""

    def __init__(self, turn: Iterator[bytes]) -> None:
        self.turn = turn
        self.latencies: list[float] = []
        self.errors = 0
        self.over = False
        self._spans: list[tuple[float, float]] = []
        self._since = self._until = math.inf
        self._left = 0
        self._enough = asyncio.Event()

    def open(self) -> None:
        self._since = time.perf_counter()

    def close(self) -> float:
        """End the window; how long it was."""
        self._until, self.over = time.perf_counter(), True
        return self._until - self._since

    def answered(self) -> float:
        """See `Result`."""
        within = 0.0
        for asked, came in self._spans:
            part = min(came, self._until) - max(asked, self._since)
            within += max(0.0, part) / (came - asked)
        return within

    async def answers(self, least: int, seconds: float, longest: float) -> None:
        """Wait so many seconds, and on for so many answers."""
        self._left = least
        enough = self._enough = asyncio.Event()
        await asyncio.sleep(seconds)
        if self._left > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), max(0.0, longest - seconds))

    def note(self, asked: float, status: int) -> None:
        self._left -= status == 200
        if self._left <= 0:
            self._enough.set()
        now = time.perf_counter()
        if status == 200:
            self._spans.append((asked, now))
        if not self._since <= now < self._until:
            return
        if status == 200:
            self.latencies.append((now - asked) * 1000)
        else:
            self.errors += 1


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """No garbage is collected meanwhile: pauses of ours would be the service's in the figures."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


class _Connection(asyncio.Protocol):
    """One client's connection: asks, and on the answer asks again."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._answer = b""
        self._asked: float | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        status = status_of(self._answer)
        if status is None or self._asked is None:
            return
        self._answer = b""
        self._load.note(self._asked, status)
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if self._asked is not None:
            self._load.note(self._asked, 0)
        if not self.closed.done():
            self.closed.set_result(None)

    def _ask(self) -> None:
        self._asked = None
        if self._load.over:
            self._transport.close()
        elif not self._transport.is_closing():
            self._asked = time.perf_counter()
            self._transport.write(next(self._load.turn))


async def _client(load: _Load, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    while not load.over:
        asked = time.perf_counter()
        try:
            transport, connection = await loop.create_connection(
                lambda: _Connection(load), host, port
            )
            try:
                await connection.closed
            finally:
                transport.abort()
        except OSError:
            load.note(asked, 0)
        if not load.over:
            await asyncio.sleep(PAUSE_S)


def status_of(answer: bytes) -> int | None:
    """The status of an answer, once all of it is there.

    Raises:
        ValueError: its end cannot be told.
    """
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = answer[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(head[at + 17 :].split(b"\r\n", 1)[0])
        whole = len(answer) >= end + 4 + length
    elif b"\r\ntransfer-encoding: chunked" in head:
        whole = answer.endswith(b"0\r\n\r\n")
    else:
        raise ValueError(f"an answer without a length: {answer[:200]!r}")
    return int(answer[9:12]) if whole else None


def pieces(texts_each: int) -> list[list[str]]:
    """Requests of `texts_each` of 2000 texts or more, no two alike; none has fewer."""
    source = iter(texts(max(2000, 8 * texts_each)))
    found = list(iter(lambda: list(islice(source, texts_each)), []))
    return [piece for piece in found if len(piece) == texts_each]


def bodies(field: str, texts_each: int = 1) -> list[bytes]:
    """Bodies `{field: text}` or, with more than one text each, `{field: [text, …]}`."""
    return [
        json.dumps({field: piece if texts_each > 1 else piece[0]}).encode()
        for piece in pieces(texts_each)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line of JSON for each concurrency."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--field", default="input")
    parser.add_argument("--texts", type=int, default=1, help="texts in each request")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=0.5)
    options = parser.parse_args(argv)
    content = bodies(options.field, texts_each=options.texts)
    for concurrency in options.concurrency:
        result = asyncio.run(
            run(
                options.url,
                content,
                concurrency,
                options.seconds,
                options.texts,
                warm_up=options.warm_up,
            )
        )
        print(json.dumps(asdict(result)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
