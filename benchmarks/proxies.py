"""What a request costs where the model costs nothing: `python -m benchmarks.proxies`.

The whole way, proxy, ingress, replica and back, to a stub that answers at once: through HAProxy and
through Ray Serve's own proxy, beside a plain FastAPI file with no model behind it.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import load
from benchmarks.catalog import STUB, Setup
from benchmarks.graphs import BUNDLED
from benchmarks.records import RESULTS, in_words, machine, number, spread, write
from benchmarks.servers import Server
from benchmarks.stub_server import COST_MS, OWN_PROXY, REPLICAS

CLIENTS = (1, 64, 512)
NOTHING = Setup(
    "nothing",
    "FastAPI with no model",
    "peers.nothing",
    ("int8",),
    workers=1,
    threads=1,
    batch=1,
    batching="none",
)
STUBBED = {COST_MS: "0", REPLICAS: "1"}
WAYS: tuple[tuple[Setup, dict[str, str]], ...] = (
    (NOTHING, {}),
    (replace(STUB, title="this service through HAProxy"), STUBBED),
    (
        replace(STUB, title="this service through Ray Serve's own proxy"),
        {**STUBBED, OWN_PROXY: "1"},
    ),
)


@dataclass(frozen=True)
class Step:
    """One way with so many clients in one round; times in ms."""

    way: str
    clients: int
    round: int
    requests_per_second: float
    errors: int
    p50: float | None
    p99: float | None
    cpu_ms: float


def measure(way: str, server: Server, clients: int, number_of_round: int, seconds: float) -> Step:
    """Keep so many clients asking."""
    bodies = [server.body(piece) for piece in load.pieces(1)]
    found = asyncio.run(
        load.run(server.url, bodies, clients, seconds, warm_up=1.0, least=clients, meter=server.cpu)
    )
    return Step(
        way=way,
        clients=clients,
        round=number_of_round,
        requests_per_second=found.requests_per_second,
        errors=found.errors,
        p50=found.p50,
        p99=found.p99,
        cpu_ms=(found.cpu or 0.0) / max(1, found.requests) * 1000,
    )


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    lines = [
        f"Measured on {in_words(said['machine'])}, {said['rounds']} rounds of {said['seconds']:g}"
        " s; medians, and in brackets the least and the most. One ingress, one replica of a stub.",
        "",
        "| clients | way | requests/s | p50 ms | p99 ms | CPU ms a request | errors |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    steps = [Step(**step) for step in said["steps"]]
    for clients in dict.fromkeys(step.clients for step in steps):
        for way in dict.fromkeys(step.way for step in steps):
            own = [step for step in steps if (step.clients, step.way) == (clients, way)]
            rates = [step.requests_per_second for step in own]
            p50 = median(step.p50 for step in own if step.p50 is not None)
            p99 = median(step.p99 for step in own if step.p99 is not None)
            lines.append(
                f"| {clients} | {way} | **{number(median(rates))}** ({spread(rates)}) |"
                f" {number(p50)} | {number(p99)} | {number(median(s.cpu_ms for s in own))} |"
                f" {sum(step.errors for step in own)} |"
            )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the table; returns 1 where a request failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proxies", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--clients", type=int, nargs="+", default=list(CLIENTS))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS / "proxies.json")
    options = parser.parse_args(argv)
    steps: list[Step] = []
    for number_of_round in range(options.rounds):
        for setup, environment in WAYS[:: -1 if number_of_round % 2 else 1]:
            print(f"{setup.title} …", flush=True)
            with Server(setup, "int8", options.model, environment) as server:
                steps += [
                    measure(setup.title, server, clients, number_of_round, options.seconds)
                    for clients in options.clients
                ]
    said = {
        "machine": machine(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "steps": [asdict(step) for step in steps],
    }
    write(options.output, said)
    print(table(said))
    return int(any(step.errors for step in steps))


if __name__ == "__main__":
    sys.exit(main())
