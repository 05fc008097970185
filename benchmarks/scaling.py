"""What the way to the model costs as replicas are added: `python -m benchmarks.scaling`.

The model is a stub of fixed cost (see `stub`). Added latency is what a text takes beyond that cost,
alone (concurrency 1) and with a client for each replica; the rate is that with four clients for
each, as a share of the replicas' own 1 / cost.
"""

import argparse
import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urljoin

from benchmarks import load
from benchmarks.catalog import STUB
from benchmarks.graphs import BUNDLED
from benchmarks.records import RESULTS, in_words, machine, number, spread, write
from benchmarks.servers import Server, ServerError
from benchmarks.stub_server import COST_MS, REPLICAS

START_S = 300.0
CLIENTS = 4
"""For each replica, where the rate is measured."""


@dataclass(frozen=True)
class Step:
    """What so many replicas did in one round.

    Attributes:
        ideal: requests/s if the way cost nothing.
        alone, busy_p50, busy_p99: ms beyond the stub's cost.
        cpu_ms: of the whole cluster for each request, at the highest rate.
    """

    replicas: int
    round: int
    ideal: float
    requests_per_second: float
    errors: int
    alone: float
    busy_p50: float
    busy_p99: float
    cpu_ms: float
    memory_mb: float


def measure(server: Server, replicas: int, number_of_round: int, options: Any) -> Step:
    """One number of replicas in one round."""
    bodies = [server.body(piece) for piece in load.pieces(1)]

    def run(clients: int) -> load.Result:
        return asyncio.run(
            load.run(
                server.url,
                bodies,
                clients,
                options.seconds,
                warm_up=options.warm_up,
                meter=server.cpu,
            )
        )

    alone, busy, full = run(1), run(replicas), run(CLIENTS * replicas)
    return Step(
        replicas=replicas,
        round=number_of_round,
        ideal=replicas * 1000 / options.cost,
        requests_per_second=full.requests_per_second,
        errors=alone.errors + busy.errors + full.errors,
        alone=(alone.p50 or 0.0) - options.cost,
        busy_p50=(busy.p50 or 0.0) - options.cost,
        busy_p99=(busy.p99 or 0.0) - options.cost,
        cpu_ms=(full.cpu or 0.0) / max(1, full.requests) * 1000,
        memory_mb=server.memory() / 1e6,
    )


def running(url: str, backend: str, field: str = "running") -> int:
    """Replicas of a backend that run, or by another field of `/cluster`."""
    with urllib.request.urlopen(urljoin(url, "/cluster"), timeout=30) as answer:
        count: int = json.load(answer)["deployments"][backend][field]
    return count


def wait_for(url: str, replicas: int) -> None:
    """Until so many replicas of ONNX run.

    Raises:
        ServerError: they do not, in `START_S` seconds.
    """
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        found = running(url, "onnx")
        if found == replicas:
            return
        time.sleep(0.5)
    raise ServerError(f"{found} of {replicas} replicas run after {START_S:.0f} s")


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    lines = [
        f"Measured on {in_words(said['machine'])}. A stub that takes {said['cost_ms']:g} ms a text"
        " and no CPU, one worker a replica, one text a batch, one ingress.",
        "",
        "| replicas | requests/s | of the ideal | added ms, alone | added ms, a client a replica"
        " (p99) | CPU ms a request | errors | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    steps = [Step(**step) for step in said["steps"]]
    for replicas in dict.fromkeys(step.replicas for step in steps):
        own = [step for step in steps if step.replicas == replicas]
        rates = [step.requests_per_second for step in own]
        lines.append(
            f"| {replicas} | **{number(median(rates))}** ({spread(rates)}) |"
            f" {median(rates) / own[0].ideal:.0%} |"
            f" {number(median(step.alone for step in own))} |"
            f" {number(median(step.busy_p50 for step in own))}"
            f" ({number(median(step.busy_p99 for step in own))}) |"
            f" {number(median(step.cpu_ms for step in own))} |"
            f" {sum(step.errors for step in own)} | {max(step.memory_mb for step in own):,.0f} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--cost", type=float, default=50.0, help="ms of the stub for each text")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS / "scaling.json")
    options = parser.parse_args(argv)
    steps: list[Step] = []
    for replicas in options.replicas:
        environment = {COST_MS: str(options.cost), REPLICAS: str(replicas)}
        print(f"the stub, {replicas} replicas …", flush=True)
        with Server(STUB, "int8", options.model, environment, START_S) as server:
            wait_for(server.url, replicas)
            steps += [
                measure(server, replicas, number_of_round, options)
                for number_of_round in range(options.rounds)
            ]
        said = {
            "machine": machine(),
            "cost_ms": options.cost,
            "steps": [asdict(step) for step in steps],
        }
        write(options.output, said)
    print(table(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
