"""A load generator: so many clients that ask again as soon as they are answered.

Plain sockets and prepared requests, since it shares the cores with what it measures.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from urllib.parse import urlsplit

from benchmarks.texts import texts


@dataclass(frozen=True)
class Result:
    """What one run saw. Latencies in ms; rates a second."""

    concurrency: int
    requests: int
    errors: int
    requests_per_second: float
    texts_per_second: float
    p50: float
    p95: float
    p99: float


def requests_for(url: str, bodies: Sequence[bytes]) -> list[bytes]:
    """Whole HTTP/1.1 requests, one for each body."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )
    return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]


async def run(
    url: str, bodies: Sequence[bytes], concurrency: int, seconds: float, texts_each: int = 1
) -> Result:
    """Keep `concurrency` requests under way for `seconds`.

    Args:
        bodies: JSON bodies, taken in turn.
        texts_each: texts in each body.
    """
    requests = requests_for(url, bodies)
    parts = urlsplit(url)
    latencies: list[float] = []
    errors = 0
    turn = cycle(requests)
    begin = time.perf_counter()
    end = begin + seconds

    async def client() -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while (start := time.perf_counter()) < end:
            writer.write(next(turn))
            status = await _answer(reader)
            latencies.append((time.perf_counter() - start) * 1000)
            errors += status != 200
        writer.close()

    await asyncio.gather(*(client() for _ in range(concurrency)))
    took = time.perf_counter() - begin
    latencies.sort()

    def at(share: float) -> float:
        return latencies[min(len(latencies) - 1, int(len(latencies) * share))]

    return Result(
        concurrency=concurrency,
        requests=len(latencies),
        errors=errors,
        requests_per_second=len(latencies) / took,
        texts_per_second=len(latencies) * texts_each / took,
        p50=at(0.5),
        p95=at(0.95),
        p99=at(0.99),
    )


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one answer; its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at >= 0:
        await reader.readexactly(int(lower[at + 15 : lower.index(b"\r\n", at)]))
    else:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return int(head[9:12])


def bodies(field: str, count: int = 2000, texts_each: int = 1) -> list[bytes]:
    """Bodies `{field: text}` or, with more than one text each, `{field: [text, …]}`."""
    source = iter(texts(count * texts_each))
    pieces = (list(islice(source, texts_each)) for _ in range(count))
    return [json.dumps({field: piece if texts_each > 1 else piece[0]}).encode() for piece in pieces]


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line of JSON for each concurrency."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--field", default="input")
    parser.add_argument("--texts", type=int, default=1, help="texts in each request")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args(argv)
    content = bodies(options.field, texts_each=options.texts)
    for concurrency in options.concurrency:
        result = asyncio.run(run(options.url, content, concurrency, options.seconds, options.texts))
        print(json.dumps(asdict(result)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
