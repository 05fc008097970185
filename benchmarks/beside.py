"""What a bulk load does to single texts: `python -m benchmarks.beside`.

Clients ask for one text at a time, at a rate that the service answers with ease; beside them, in
turns, nothing, a list of 256 texts after another, or a stream. The turns are short and follow each
other, so that what else the machine does falls on all of them alike.
"""

import argparse
import asyncio
import itertools
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from benchmarks import load
from benchmarks.arrivals import Answered, send
from benchmarks.catalog import SERVICE, STUB
from benchmarks.graphs import BUNDLED
from benchmarks.load import percentile
from benchmarks.records import RESULTS, in_words, machine, number, write
from benchmarks.servers import Server
from benchmarks.stream import Case, Reader
from benchmarks.stream import run as stream
from benchmarks.stub_server import COST_MS, REPLICAS

ALONE, LISTS, STREAM = "nothing", "lists of 256", "a stream"
LIST = 256
LINES = 20_000
"""Of each stream; its upload is over at once, so that the answers alone load the service."""
START_S = 30.0
RUN_UP_S = 3.0
"""Of a bulk load before it is counted: what was under way at its first answers is none of it."""
SETTLE_S = 1.0


@dataclass(frozen=True)
class Turn:
    """Latencies of single texts in one turn, in ms.

    Attributes:
        beside: what else was asked for.
        errors: answers to them of another status than 200.
        bulk: texts of the bulk load answered a second.
    """

    backend: str
    beside: str
    round: int
    requests: int
    errors: int
    p50: float
    p95: float
    p99: float
    bulk: float


def bulk(base: str, beside: str, done: Any) -> None:
    """The bulk load, without end, in a process of its own; `done` counts texts answered."""

    async def lists() -> None:
        async with aiohttp.ClientSession(headers={"content-type": "application/json"}) as http:
            for body in itertools.cycle(load.bodies("input", LIST)):
                async with http.post(f"{base}/infer", data=body) as answer:
                    await answer.read()
                    done.value += LIST * (answer.status == HTTPStatus.OK)

    async def streams() -> None:
        while True:
            await stream(f"{base}/stream", Case("", LINES), Counting(done))

    asyncio.run(lists() if beside == LISTS else streams())


class Counting(Reader):
    """A reader that tells another process how far it is."""

    def __init__(self, done: Any) -> None:
        super().__init__()
        self._done = done

    def feed(self, data: bytes) -> None:
        before = self.rows
        super().feed(data)
        self._done.value += self.rows - before


def turn(base: str, beside: str, rate: float, seconds: float) -> tuple[list[Answered], float]:
    """Single texts for so many seconds; their answers, and bulk texts answered a second."""
    singles = load.bodies("input")
    spawn = multiprocessing.get_context("spawn")
    done = spawn.Value("q", 0)
    process = spawn.Process(target=bulk, args=(base, beside, done), daemon=True)
    if beside != ALONE:
        process.start()
        deadline = time.monotonic() + START_S
        while not done.value and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(RUN_UP_S)
    before, begin = done.value, time.monotonic()
    with load.uninterrupted():
        arrived = asyncio.run(send(f"{base}/infer", singles, rate, seconds))
    texts, took = done.value - before, time.monotonic() - begin
    if beside != ALONE:
        process.kill()
        process.join()
    time.sleep(SETTLE_S)
    return arrived.answers, texts / took


def measure(server: Server, backend: str, path: str, rate: float, options: Any) -> list[Turn]:
    """All rounds of one backend."""
    base = server.at(f"/{path}")
    found: list[Turn] = []
    for number_of_round in range(options.rounds):
        for beside in (ALONE, LISTS, STREAM):
            answers, bulk = turn(base, beside, rate, options.seconds)
            good = sorted(one.ms for one in answers if one.status == 200)
            found.append(
                Turn(
                    backend=backend,
                    beside=beside,
                    round=number_of_round,
                    requests=len(good),
                    errors=len(answers) - len(good),
                    p50=percentile(good, 0.5) or 0.0,
                    p95=percentile(good, 0.95) or 0.0,
                    p99=percentile(good, 0.99) or 0.0,
                    bulk=bulk,
                )
            )
    return found


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    lines = [
        f"Measured on {in_words(said['machine'])}. Single texts at {said['rates']} a second;"
        f" medians of {said['rounds']} rounds of {said['seconds']:g} s each, in ms. The stub takes"
        f" {said['cost_ms']:g} ms a text in each of {said['replicas']} replicas and no CPU.",
        "",
        "| backend | beside | p50 | p95 | p99 | p95 against alone | errors | bulk texts/s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    turns = [Turn(**one) for one in said["turns"]]
    for backend in dict.fromkeys(one.backend for one in turns):
        own = [one for one in turns if one.backend == backend]
        alone = [one for one in own if one.beside == ALONE]
        for beside in (ALONE, LISTS, STREAM):
            seen = [one for one in own if one.beside == beside]
            ratios = [one.p95 / other.p95 - 1 for one, other in zip(seen, alone, strict=True)]
            lines.append(
                f"| {backend} | {beside} | {number(median(one.p50 for one in seen))} |"
                f" {number(median(one.p95 for one in seen))} |"
                f" {number(median(one.p99 for one in seen))} |"
                f" {median(ratios):+.0%} | {sum(one.errors for one in seen)} |"
                f" {number(median(one.bulk for one in seen))} |"
            )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--rate", type=float, default=40.0, help="single texts a second, real")
    parser.add_argument("--stub-rate", type=float, default=40.0, help="the same, stub")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--replicas", type=int, default=4, help="of the stub")
    parser.add_argument("--cost", type=float, default=20.0, help="ms of the stub for each text")
    parser.add_argument("--output", type=Path, default=RESULTS / "beside.json")
    options = parser.parse_args(argv)
    environment = {COST_MS: str(options.cost), REPLICAS: str(options.replicas)}
    with Server(STUB, "int8", options.model, environment) as server:
        found = measure(server, "stub", "onnx", options.stub_rate, options)
    with Server(SERVICE, "int8", options.model) as server:
        found += measure(server, "ONNX int8", "onnx", options.rate, options)
    said = {
        "machine": machine(),
        "rates": f"{options.stub_rate:g} (stub) and {options.rate:g}",
        "seconds": options.seconds,
        "rounds": options.rounds,
        "replicas": options.replicas,
        "cost_ms": options.cost,
        "turns": [asdict(one) for one in found],
    }
    write(options.output, said)
    print(table(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
