"""More than the service can answer: `python -m benchmarks.overload`.

Requests of one text come at multiples of what a backend can answer, whether or not it does
(`arrivals`). First a stub model that waits and takes no CPU, so that the cores are free for
refusals; then real ones, where load, refusals and model share them: the bundled one, and one of the
shape of production's, whose answers cost more beside their refusals.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.arrivals import Answered, Arrived, send
from benchmarks.catalog import SERVICE, STUB
from benchmarks.limit import MODELS
from benchmarks.load import percentile
from benchmarks.memory import Watch, by_role, growth
from benchmarks.records import RESULTS, in_words, machine, number, write
from benchmarks.servers import Server
from benchmarks.stub_server import COST_MS, REPLICAS

ANSWERED, REFUSED = 200, 503


@dataclass(frozen=True)
class Step:
    """One backend of one server at one multiple of its capacity. Rates a second, times in ms.

    Attributes:
        capacity: what it answers when asked for no more than it can.
        offered: requests that came; fewer than wanted where the load generator could not.
        goodput: answers of status 200.
        refused: answers of status 503.
        statuses: how often each came; 0 a lost connection, -1 no answer in time.
        unsent: requests that the load generator could not send.
        retry_after: seconds, the least and the most.
        memory_mb: of each role's processes, before, most and after.
    """

    backend: str
    multiple: float
    capacity: float
    offered: float
    goodput: float
    refused: float
    p50: float | None
    p99: float | None
    refused_p50: float | None
    refused_p99: float | None
    statuses: dict[str, int]
    unsent: int
    retry_after: tuple[int, int] | None
    memory_mb: dict[str, tuple[float, float, float]]


def summarize(arrived: Arrived, warm: float, seconds: float) -> dict[str, Any]:
    """What came of the requests that were sent in the window from `warm` on."""
    seen = [one for one in arrived.answers if warm <= one.at < warm + seconds]
    good = _latencies(seen, ANSWERED)
    refused = _latencies(seen, REFUSED)
    waits = [one.retry_after for one in seen if one.retry_after is not None]
    statuses: dict[str, int] = {}
    for one in seen:
        statuses[str(one.status)] = statuses.get(str(one.status), 0) + 1
    # Those answered in the window, whenever they came: the rate at which it works.
    done = [
        one
        for one in arrived.answers
        if one.status == ANSWERED and warm <= one.at + one.ms / 1000 < warm + seconds
    ]
    return {
        "offered": len(seen) / seconds,
        "goodput": len(done) / seconds,
        "refused": len(refused) / seconds,
        "p50": percentile(good, 0.5),
        "p99": percentile(good, 0.99),
        "refused_p50": percentile(refused, 0.5),
        "refused_p99": percentile(refused, 0.99),
        "statuses": statuses,
        "unsent": sum(warm <= at < warm + seconds for at in arrived.unsent),
        "retry_after": (min(waits), max(waits)) if waits else None,
    }


def measure(
    server: Server, backend: str, url: str, capacity: float, multiple: float, options: Any
) -> Step:
    """One step; the queue fills while it warms up."""
    bodies = [server.body(piece) for piece in load.pieces(1)]
    with load.uninterrupted(), Watch(by_role(server.processes), lambda: 0) as watch:
        arrived = asyncio.run(
            send(url, bodies, capacity * multiple, options.warm_up + options.seconds)
        )
    return Step(
        backend=backend,
        multiple=multiple,
        capacity=capacity,
        memory_mb={role: growth(watch.samples, role, 0.0) for role in watch.samples[0].mb},
        **summarize(arrived, options.warm_up, options.seconds),
    )


def capacity_of(server: Server, url: str, seconds: float) -> float:
    """Answers a second to clients that ask as soon as they are answered."""
    bodies = [server.body(piece) for piece in load.pieces(1)]
    return asyncio.run(load.run(url, bodies, 64, seconds, warm_up=3.0)).requests_per_second


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    lines = [
        f"Measured on {in_words(said['machine'])}. Requests of one text, {said['seconds']:g} s"
        f" after {said['warm_up']:g} s in which the queue fills; the load generator shares the"
        f" cores. The stub takes {said['cost_ms']:g} ms a text in each of {said['replicas']}"
        " replicas and no CPU. «other» are answers of neither 200 nor 503, lost connections and"
        " requests that could not be sent. Memory is PSS before → most → after.",
        "",
        "| backend | × capacity wanted | offered | offered/s | answered/s | of capacity |"
        " p50 ms, accepted | p99 | refused/s | p50 ms, refused | p99 | Retry-After s | other |"
        " ingress MB | HAProxy MB | replicas MB |",
        "|" + " --- |" * 16,
    ]
    for step in steps(said):
        other = step.unsent + sum(
            count for status, count in step.statuses.items() if status not in ("200", "503")
        )
        waits = "–".join(map(str, sorted(set(step.retry_after)))) if step.retry_after else "–"
        lines.append(
            f"| {step.backend} | {step.multiple:g} | {step.offered / step.capacity:.1f} |"
            f" {number(step.offered)} |"
            f" **{number(step.goodput)}** | {step.goodput / step.capacity:.0%} |"
            f" {number(step.p50)} | {number(step.p99)} | {number(step.refused)} |"
            f" {number(step.refused_p50)} | {number(step.refused_p99)} | {waits} | {other} |"
            f" {_held(step, 'ingress')} | {_held(step, 'HAProxy')} |"
            f" {_held(step, 'onnx', 'transformers')} |"
        )
    return "\n".join(lines)


def steps(said: dict[str, Any]) -> list[Step]:
    """The steps in a record."""
    return [Step(**one) for one in said["steps"]]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the table; 1 if anything was answered with 500."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", default=list(MODELS), metavar="FOLDER")
    parser.add_argument("--stub", type=float, nargs="*", default=[0.5, 1, 2, 5, 10])
    parser.add_argument("--real", type=float, nargs="*", default=[0.5, 1, 2, 10])
    parser.add_argument("--backends", nargs="+", default=["onnx", "transformers"])
    parser.add_argument("--replicas", type=int, default=2, help="of the stub")
    parser.add_argument("--cost", type=float, default=20.0, help="ms of the stub for each text")
    parser.add_argument("--warm-up", type=float, default=12.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--output", type=Path, default=RESULTS / "overload.json")
    options = parser.parse_args(argv)
    found: list[Step] = []

    def run(server: Server, path: str, name: str, multiples: Sequence[float]) -> None:
        url = server.at(f"/{path}/infer")
        capacity = capacity_of(server, url, 5.0)
        for multiple in multiples:
            found.append(measure(server, name, url, capacity, multiple, options))
            print(f"{name} × {multiple:g}: {found[-1].statuses}", flush=True)

    if options.stub:
        environment = {COST_MS: str(options.cost), REPLICAS: str(options.replicas)}
        with Server(STUB, "int8", options.models[0], environment) as server:
            run(server, "onnx", "stub", options.stub)
    for model in options.models if options.real else ():
        with Server(SERVICE, "int8", model) as server:
            for backend in options.backends:
                run(server, backend, f"{model.name}, {backend}", options.real)
    said = {
        "machine": machine(),
        "seconds": options.seconds,
        "warm_up": options.warm_up,
        "replicas": options.replicas,
        "cost_ms": options.cost,
        "steps": [asdict(step) for step in found],
    }
    write(options.output, said)
    print(table(said))
    return int(any("500" in step.statuses for step in found))


def _held(step: Step, *roles: str) -> str:
    parts = zip(*(step.memory_mb[role] for role in roles if role in step.memory_mb), strict=True)
    return " → ".join(number(sum(part)) for part in parts)


def _latencies(seen: Sequence[Answered], status: int) -> list[float]:
    return sorted(one.ms for one in seen if one.status == status)


if __name__ == "__main__":
    sys.exit(main())
