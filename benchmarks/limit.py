"""What the hardware allows in process: the model on the same texts and cores, with no server.

One text at a time; batches drawn from a window of as many waiting texts as the concurrency; the
whole corpus sorted by length. For each, the best of threads x workers x batch. Tokenizing is left
out, so a server's share of the limit is never flattered.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.records import RESULTS, in_words, machine, number, spread, write
from benchmarks.texts import texts
from serve_app.engine.artifacts import Artifacts
from serve_app.engine.backend import Backend, Encoded
from serve_app.engine.onnx_backend import OnnxBackend
from serve_app.engine.torch_backend import TorchBackend

SETUPS = ((2, 1), (1, 2))
"""(workers, threads) that two cores can have."""
BATCHES = (1, 2, 4, 8, 16)
WINDOWS = (16, 64)
MODELS = (Path(".cache/prepared/sst2-minilm"), Path(".cache/prepared/distilbert-shape"))
PRECISIONS = ("torch", "fp32", "int8")

Batches = list[list[Encoded]]


@dataclass(frozen=True)
class Limit:
    """The best set-up of one way to batch.

    Attributes:
        rates: texts a second in each round.
    """

    model: str
    precision: str
    way: str
    workers: int
    threads: int
    batch: int
    rates: list[float]


def windowed(encoded: Sequence[Encoded], window: int, batch: int) -> Iterator[list[Encoded]]:
    """Batches of neighbours in length out of a window that is refilled after each."""
    source = iter(encoded)
    waiting = sorted(islice(source, window), key=len)
    turn = 0
    while waiting:
        # The middle, the ends and between in turn: any order that leaves nobody behind.
        at = (turn * batch) % max(1, len(waiting) - batch + 1)
        taken, waiting = waiting[at : at + batch], waiting[:at] + waiting[at + batch :]
        turn += 1
        yield taken
        waiting = sorted([*waiting, *islice(source, len(taken))], key=len)


def speed(backend: Backend, batches: Sequence[list[Encoded]], workers: int) -> float:
    """Texts a second that `workers` threads get through."""
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(backend.logits, batches[:workers]))  # each has its threads and its memory
        start = time.perf_counter()
        for _ in pool.map(backend.logits, batches):
            pass
        return sum(map(len, batches)) / (time.perf_counter() - start)


def ways(encoded: Sequence[Encoded]) -> dict[str, dict[int, Batches]]:
    """The batches of each way to form them, by their size."""
    ordered = sorted(encoded, key=len)
    return {
        "one at a time": {1: [[text] for text in encoded]},
        **{
            f"window {window}": {
                batch: list(windowed(encoded, window, batch))
                for batch in BATCHES
                if batch <= window
            }
            for window in WINDOWS
        },
        "sorted": {
            batch: [ordered[at : at + batch] for at in range(0, len(ordered), batch)]
            for batch in BATCHES
        },
    }


def limits(
    backends: Mapping[int, Backend], encoded: Sequence[Encoded], rounds: int
) -> dict[str, tuple[int, int, int, list[float]]]:
    """For each way the best (workers, threads, batch) by its median, and its rate in each round.

    Args:
        backends: by their threads.
        rounds: passes over all candidates; the next begins when each has been run once.
    """
    measured: dict[tuple[str, int, int, int], list[float]] = {}
    candidates = ways(encoded)
    for _ in range(rounds):
        for way, sizes in candidates.items():
            for batch, batches in sizes.items():
                for workers, threads in SETUPS:
                    rate = speed(backends[threads], batches, workers)
                    measured.setdefault((way, workers, threads, batch), []).append(rate)
    best: dict[str, tuple[int, int, int, list[float]]] = {}
    for (way, workers, threads, batch), rates in measured.items():
        if way not in best or median(rates) > median(best[way][3]):
            best[way] = (workers, threads, batch, rates)
    return best


def backends(artifacts: Artifacts, precision: str) -> dict[int, Backend]:
    """One for each number of threads."""
    made: dict[int, Backend] = {}
    for _, threads in SETUPS:
        if precision == "torch":
            made[threads] = TorchBackend(artifacts, threads)
        else:
            made[threads] = OnnxBackend(
                artifacts, threads, "int8" if precision == "int8" else "fp32"
            )
    return made


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    lines = [
        f"Measured on {in_words(said['machine'])}; texts a second in process, medians of"
        f" {said['rounds']} rounds, in brackets the least and the most.",
        "",
        "| model | precision | batches | texts/s | workers × threads | batch |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {one['model']} | {one['precision']} | {one['way']} | **{number(median(one['rates']))}**"
        f" ({spread(one['rates'])}) | {one['workers']} × {one['threads']} | {one['batch']} |"
        for one in said["limits"]
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit", description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", default=list(MODELS), metavar="FOLDER")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS / "limit.json")
    options = parser.parse_args(argv)
    found: list[Limit] = []
    for model in options.models:
        artifacts = Artifacts(model)
        for precision in options.precisions:
            made = backends(artifacts, precision)
            encoded = made[1].encode(texts(options.texts))
            for way, best in limits(made, encoded, options.rounds).items():
                found.append(Limit(model.name, precision, way, *best))
    said = {
        "machine": machine(),
        "rounds": options.rounds,
        "texts": options.texts,
        "limits": [asdict(limit) for limit in found],
    }
    write(options.output, said)
    print(table(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
