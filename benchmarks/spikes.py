"""Autoscaling under a load that comes and goes: `python -m benchmarks.spikes`.

A trace of quiet and busy stretches is sent to a stub of fixed cost, whether or not earlier requests
are answered, and every half second the replicas that Serve wants are noted. What is looked for: how
long a busy stretch waits for its replicas, and whether they go up and down without need. The rules
are those of `serve_config.yaml`; warm headroom is `min_replicas` there.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import arrivals, load
from benchmarks.catalog import STUB
from benchmarks.graphs import BUNDLED
from benchmarks.load import percentile
from benchmarks.records import RESULTS, in_words, machine, number, write
from benchmarks.scaling import START_S, running
from benchmarks.servers import Server
from benchmarks.stub_server import AS_SERVED, COST_MS, REPLICAS

COST = 50.0
"""ms of the stub for each text: one replica answers 20 a second."""
QUIET, BUSY = 8.0, 70.0
"""Requests a second: less than one replica's, and some four replicas'."""
TRACE = (
    (20.0, QUIET),
    (8.0, BUSY),  # shorter than `upscale_delay_s`, but what it leaves waiting is not
    (12.0, QUIET),
    (40.0, BUSY),
    (30.0, QUIET),  # shorter than `downscale_delay_s`: nothing to scale down in
    (40.0, BUSY),
    (340.0, QUIET),
)
"""Seconds and requests a second."""


@dataclass(frozen=True)
class Stretch:
    """One stretch of the trace; times in ms."""

    seconds: float
    rate: float
    requests: int
    errors: int
    p50: float | None
    p99: float | None


def reversals(targets: Sequence[int]) -> int:
    """How often the number turned round: up after down, or down after up."""
    moves = [b > a for a, b in pairwise(targets) if a != b]
    return sum(one != other for one, other in pairwise(moves))


async def replay(server: Server) -> tuple[list[Stretch], list[tuple[float, int]]]:
    """The stretches, and each change of the wanted replicas with its second of the trace."""
    seen: list[tuple[float, int]] = []
    begin = time.monotonic()

    async def watch() -> None:
        while True:
            count = await asyncio.to_thread(running, server.url, "onnx", "target")
            if not seen or count != seen[-1][1]:
                seen.append((time.monotonic() - begin, count))
            await asyncio.sleep(0.5)

    watching = asyncio.create_task(watch())
    bodies = [server.body(piece) for piece in load.pieces(1)]
    sending = []
    for seconds, rate in TRACE:
        sending.append(asyncio.create_task(arrivals.send(server.url, bodies, rate, seconds)))
        await asyncio.sleep(seconds)
    came = await asyncio.gather(*sending)
    watching.cancel()
    stretches = []
    for (seconds, rate), arrived in zip(TRACE, came, strict=True):
        times = sorted(answer.ms for answer in arrived.answers if answer.status == 200)
        failed = sum(answer.status != 200 for answer in arrived.answers) + len(arrived.unsent)
        p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
        stretches.append(Stretch(seconds, rate, len(arrived.answers), failed, p50, p99))
    return stretches, seen


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    targets = [count for _, count in said["wanted"]]
    lines = [
        f"Measured on {in_words(said['machine'])}. A stub of {said['cost_ms']:g} ms a text, of"
        f" which a replica answers {1000 / said['cost_ms']:g} a second; autoscaling as it is"
        " served.",
        "",
        "| seconds | requests/s | replicas wanted at its end | requests | errors | p50 ms | p99 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    end = 0.0
    for stretch in [Stretch(**each) for each in said["stretches"]]:
        end += stretch.seconds
        at_end = [count for at, count in said["wanted"] if at <= end][-1]
        lines.append(
            f"| {stretch.seconds:g} | {stretch.rate:g} | {at_end} | {stretch.requests} |"
            f" {stretch.errors} | {number(stretch.p50)} | {number(stretch.p99)} |"
        )
    turns = reversals(targets)
    said_of = (
        f"At most {max(targets)} replicas were wanted, and their number turned round {turns} times"
        " (up and down again is once)."
    )
    return "\n".join([*lines, "", said_of])


def main(argv: Sequence[str] | None = None) -> int:
    """Replay the trace, write the JSON, print the table; returns 1 where a request failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spikes", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--output", type=Path, default=RESULTS / "spikes.json")
    options = parser.parse_args(argv)
    environment = {COST_MS: str(COST), REPLICAS: "1-10", AS_SERVED: "1"}
    with Server(STUB, "int8", options.model, environment, START_S) as server:
        stretches, seen = asyncio.run(replay(server))
    said = {
        "machine": machine(),
        "cost_ms": COST,
        "stretches": [asdict(stretch) for stretch in stretches],
        "wanted": [(round(at, 1), count) for at, count in seen],
    }
    write(options.output, said)
    print(table(said))
    return int(any(stretch.errors for stretch in stretches))


if __name__ == "__main__":
    sys.exit(main())
