"""Streams at size: speed, and memory while they run: `python -m benchmarks.stream`.

Three streams, each against a service of its own kind: through a stub model of fixed cost, so that
what the service does with a line is seen; the same with a reader that takes no answer until some
time after all is sent; and through the real ONNX model. The memory of ingress and replicas is
sampled each second.
"""

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from benchmarks.catalog import SERVICE, STUB
from benchmarks.graphs import BUNDLED
from benchmarks.memory import Sample, Watch, by_role, growth
from benchmarks.records import RESULTS, in_words, machine, number, write
from benchmarks.servers import Server
from benchmarks.stub_server import COST_MS, REPLICAS
from benchmarks.texts import texts

BLOCK = 500
"""Lines of one write of the client."""
UNREAD_S = 10
"""For which a reader that takes no answer until all is sent waits on."""
HEADERS = {"Content-Type": "application/x-ndjson"}


@dataclass(frozen=True)
class Case:
    """One stream.

    Attributes:
        eager: whether the client reads while it sends.
    """

    name: str
    lines: int
    eager: bool = True


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        in_order: whether every row was answered, in its place.
        upload_s: seconds until all was sent.
        cpu_us: microseconds of CPU that the whole service took for a row.
    """

    case: str
    rows: int
    errors: int
    in_order: bool
    seconds: float
    upload_s: float
    cpu_us: float
    samples: list[Sample]


def blocks(lines: int) -> AsyncIterator[bytes]:
    """The upload: texts that come again, each line with a number of its own."""
    ready = [orjson.dumps(text) for text in texts(2000)]
    words = itertools.cycle(ready)

    async def generate() -> AsyncIterator[bytes]:
        for at in range(0, lines, BLOCK):
            yield b"".join(
                b'{"id": %d, "input": %b}\n' % (row, next(words))
                for row in range(at, min(at + BLOCK, lines))
            )

    return generate()


class Reader:
    """Reads the answers and looks whether they are those that were asked for."""

    def __init__(self) -> None:
        self.rows = 0
        self.errors = 0
        self.in_order = True
        self.summary: dict[str, Any] = {}
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            said = orjson.loads(line)
            if "summary" in said:
                self.summary = said
                continue
            self.in_order &= said["id"] == self.rows
            self.errors += "error" in said
            self.rows += 1


async def run(url: str, case: Case, reader: Reader) -> tuple[float, float]:
    """Send and read a stream; seconds in all, and until all was sent."""
    start = time.monotonic()
    sent = asyncio.Event()
    took = 0.0

    async def upload() -> AsyncIterator[bytes]:
        nonlocal took
        async for block in blocks(case.lines):
            yield block
        took = time.monotonic() - start
        sent.set()

    # Without a limit on the whole: a stream takes as long as it takes.
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http,
        http.post(url, data=upload(), headers=HEADERS) as answer,
    ):
        if not case.eager:
            await sent.wait()
            await asyncio.sleep(UNREAD_S)  # the upload alone is over in a moment
        async for piece in answer.content.iter_any():
            reader.feed(piece)
    return time.monotonic() - start, took


def measure(server: Server, case: Case) -> Outcome:
    """One stream with the service watched."""
    url = server.at("/onnx/stream")
    asyncio.run(run(url, Case("", 2000), Reader()))
    reader = Reader()
    cpu = server.cpu()
    with Watch(by_role(server.processes), lambda: reader.rows) as watch:
        seconds, upload_s = asyncio.run(run(url, case, reader))
    return Outcome(
        case=case.name,
        rows=reader.rows,
        errors=reader.errors,
        in_order=reader.in_order
        and reader.rows == case.lines
        and "summary" in reader.summary
        and "error" not in reader.summary,
        seconds=seconds,
        upload_s=upload_s,
        cpu_us=(server.cpu() - cpu) / max(1, reader.rows) * 1e6,
        samples=watch.samples,
    )


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    lines = [
        f"Measured on {in_words(said['machine'])}. The stub takes {said['cost_ms']:g} ms a text in"
        f" each of {said['replicas']} replicas; texts are of 3 to 60 words, 19 on average. Memory"
        " is that of the role's processes, shared pages counted once, in MB: when a fifth of the"
        " time had gone, the most after that, and at the end.",
        "",
        "| stream | rows | errors | in order | seconds (upload) | rows/s | CPU µs a row |"
        " ingress MB | replicas MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for outcome in outcomes(said):
        memory = [
            " → ".join(number(value) for value in growth(outcome.samples, role))
            for role in ("ingress", "onnx")
        ]
        lines.append(
            f"| {outcome.case} | {outcome.rows:,} | {outcome.errors} |"
            f" {'yes' if outcome.in_order else 'no'} |"
            f" {number(outcome.seconds)} ({number(outcome.upload_s)}) |"
            f" **{number(outcome.rows / outcome.seconds)}** | {number(outcome.cpu_us)} |"
            f" {memory[0]} | {memory[1]} |"
        )
    return "\n".join(lines)


def outcomes(said: dict[str, Any]) -> list[Outcome]:
    """The outcomes in a record."""
    return [
        Outcome(**{**one, "samples": [Sample(**sample) for sample in one["samples"]]})
        for one in said["outcomes"]
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the table; 1 if a row was lost or out of its place."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--lines", type=int, default=1_000_000, help="through the stub")
    parser.add_argument(
        "--unread", type=int, default=200_000, help="sent and waited on before one is read"
    )
    parser.add_argument("--real", type=int, default=50_000, help="through the real model")
    parser.add_argument("--replicas", type=int, default=4, help="of the stub")
    parser.add_argument("--cost", type=float, default=0.2, help="ms of the stub for each text")
    parser.add_argument("--output", type=Path, default=RESULTS / "stream.json")
    options = parser.parse_args(argv)
    environment = {COST_MS: str(options.cost), REPLICAS: str(options.replicas)}
    stub = [
        Case("stub", options.lines),
        Case(
            f"stub, nothing read until {UNREAD_S} s after all is sent", options.unread, eager=False
        ),
    ]
    found: list[Outcome] = []
    for setup, more, cases in (
        (STUB, environment, stub),
        (SERVICE, {}, [Case("ONNX int8", options.real)]),
    ):
        cases = [case for case in cases if case.lines]
        if cases:
            with Server(setup, "int8", options.model, more) as server:
                found += [measure(server, case) for case in cases]
    said = {
        "machine": machine(),
        "replicas": options.replicas,
        "cost_ms": options.cost,
        "outcomes": [asdict(outcome) for outcome in found],
    }
    write(options.output, said)
    print(table(said))
    return int(any(one.errors or not one.in_order for one in found))


if __name__ == "__main__":
    sys.exit(main())
