"""What the hardware allows in process: the model on the same texts and cores, with no server.

One text at a time; batches drawn from a window of as many waiting texts as the concurrency; the
whole corpus sorted by length. For each, the best of threads x workers x batch. Tokenizing is left
out, so a server's share of the limit is never flattered.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.graphs import BUNDLED, NAMES, SHAPE, Precision, graph
from benchmarks.records import RESULTS, Candidate, in_words, machine, number, spread, write
from benchmarks.texts import texts
from serve_app.engine import artifacts as prepared
from serve_app.engine.artifacts import Artifacts
from serve_app.engine.backend import Backend, Encoded
from serve_app.engine.onnx_backend import OnnxBackend
from serve_app.engine.torch_backend import TorchBackend

SETUPS = ((2, 1), (1, 2))
"""(workers, threads) that two cores can have."""
BATCHES = (2, 4, 8, 16)
"""Beside one text at a time."""
WINDOWS = (16, 64)
MODELS = (BUNDLED, SHAPE)

ALONE, SORTED = "one at a time", "sorted"

Batches = list[list[Encoded]]


class Dynamic(Artifacts):
    """A prepared folder with onnxruntime's ordinary dynamic int8 for its own."""

    def onnx(self, precision: prepared.Precision) -> Path:
        found = graph(self.folder, "dynamic" if precision == "int8" else precision)
        assert found is not None
        return found


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


def speed(
    backend: Backend,
    batches: Batches,
    workers: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Texts a second that `workers` threads get through, the batches over and over.

    Args:
        clock: whose seconds they are; `time.process_time` for texts a second of CPU.
    """
    shuffled = random.Random(0).sample(batches, len(batches))  # those done are like those left
    queue = cycle(shuffled)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(backend.logits, shuffled[:workers]))  # each has its threads and its memory
        start, began = time.perf_counter(), clock()

        def work(_: int) -> int:
            done = 0
            # `next` of a cycle is one step for the interpreter: no two workers get the same.
            while time.perf_counter() - start < seconds:
                batch = next(queue)
                backend.logits(batch)
                done += len(batch)
            return done

        done = sum(pool.map(work, range(workers)))
        return done / (clock() - began)


def ways(encoded: Sequence[Encoded]) -> dict[str, dict[int, Batches]]:
    """The batches of each way to form them, by their size."""
    ordered = sorted(encoded, key=len)
    return {
        ALONE: {1: [[text] for text in encoded]},
        **{
            f"window {window}": {batch: list(windowed(encoded, window, batch)) for batch in BATCHES}
            for window in WINDOWS
        },
        SORTED: {
            batch: [list(ordered[at : at + batch]) for at in range(0, len(ordered), batch)]
            for batch in BATCHES
        },
    }


def candidates(
    backends: Mapping[int, Backend],
    formed: Mapping[str, Mapping[int, Batches]],
    seconds: float,
    model: str,
    precision: Precision,
) -> list[Candidate]:
    """The rate of every set-up of every way, once.

    Args:
        backends: by their threads.
        formed: the batches of each way, by their size.
        seconds: of one candidate.
    """
    return [
        Candidate(
            *(model, precision, way, workers, threads, batch),
            rates=[speed(backends[threads], batches, workers, seconds)],
        )
        for way, sizes in formed.items()
        for batch, batches in sizes.items()
        for workers, threads in SETUPS
    ]


def merged(found: Iterable[Candidate]) -> list[Candidate]:
    """Each set-up once, with the rates of all its rounds."""
    known: dict[tuple[object, ...], Candidate] = {}
    for one in found:
        setup = (one.model, one.precision, one.way, one.workers, one.threads, one.batch)
        known.setdefault(setup, replace(one, rates=[])).rates.extend(one.rates)
    return list(known.values())


def best(found: Sequence[Candidate]) -> list[Candidate]:
    """The one with the highest median of each model, precision and way.

    One text at a time is a way to empty a window too, where no batch is faster.
    """
    groups: dict[tuple[str, Precision, str], list[Candidate]] = {}
    for one in found:
        groups.setdefault((one.model, one.precision, one.way), []).append(one)
    chosen = []
    for (model, precision, way), own in groups.items():
        alone = groups.get((model, precision, ALONE), [])
        highest = max([*own, *alone], key=lambda one: median(one.rates))
        chosen.append(replace(highest, way=way))
    return chosen


def backends(folder: Path, precision: Precision) -> dict[int, Backend]:
    """One for each number of threads."""
    artifacts = Dynamic(folder) if precision == "dynamic" else Artifacts(folder)
    if precision == "torch":
        return {threads: TorchBackend(artifacts, threads) for _, threads in SETUPS}
    named: prepared.Precision = "fp32" if precision == "fp32" else "int8"
    return {threads: OnnxBackend(artifacts, threads, named) for _, threads in SETUPS}


def table(found: Sequence[Candidate]) -> str:
    """Markdown."""
    lines = [
        "| model | precision | batches | texts/s | workers × threads | batch |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {one.model} | {NAMES[one.precision]} | {one.way} | **{number(median(one.rates))}**"
        f" ({spread(one.rates)}) | {one.workers} × {one.threads} | {one.batch} |"
        for one in best(found)
    ]
    return "\n".join(lines)


def section(record: dict[str, Any]) -> str:
    """The table of what `main` writes, and where it was measured."""
    return (
        f"Measured on {in_words(record['machine'])}; texts a second in process, medians of"
        f" {record['rounds']} rounds, in brackets the least and the most.\n\n" + table(rows(record))
    )


def rows(record: dict[str, Any]) -> list[Candidate]:
    """The candidates in a record."""
    return [Candidate(**one) for one in record["candidates"]]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit", description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", default=list(MODELS), metavar="FOLDER")
    parser.add_argument("--precisions", nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a candidate in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS / "limit.json")
    options = parser.parse_args(argv)
    found: list[Candidate] = []
    for model in options.models:
        made = {precision: backends(model, precision) for precision in options.precisions}
        formed = ways(next(iter(made.values()))[1].encode(texts(options.texts)))
        for number_of_round in range(options.rounds):
            for precision in options.precisions[:: -1 if number_of_round % 2 else 1]:
                own = made[precision]
                found += candidates(own, formed, options.seconds, model.name, precision)
    found = merged(found)
    record = {
        "machine": machine(),
        "rounds": options.rounds,
        "texts": options.texts,
        "candidates": [asdict(one) for one in found],
    }
    write(options.output, record)
    print(section(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
