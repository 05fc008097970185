"""What the hardware allows in process: the model on the same texts and cores, with no server.

One text at a time; batches drawn from a window of as many waiting texts as the concurrency; the
whole corpus sorted by length. For each, the best of threads x workers x batch.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.texts import texts
from serve_app.engine.artifacts import Artifacts
from serve_app.engine.backend import Backend, Encoded
from serve_app.engine.onnx_backend import OnnxBackend
from serve_app.engine.torch_backend import TorchBackend

SETUPS = ((2, 1), (1, 2))
"""(workers, threads) that two cores can have."""
BATCHES = (1, 2, 4, 8, 16)


def windowed(encoded: Sequence[Encoded], window: int, batch: int) -> Iterator[list[Encoded]]:
    """Batches of neighbours in length out of a window that is refilled after each."""
    source = iter(encoded)
    waiting = sorted((next(source) for _ in range(min(window, len(encoded)))), key=len)
    turn = 0
    while waiting:
        # The middle, the ends and between in turn: any order that leaves nobody behind.
        at = (turn * batch) % max(1, len(waiting) - batch + 1)
        taken, waiting = waiting[at : at + batch], waiting[:at] + waiting[at + batch :]
        turn += 1
        yield taken
        for text, _ in zip(source, range(len(taken)), strict=False):
            waiting.append(text)
        waiting.sort(key=len)


def speed(backend: Backend, batches: Sequence[list[Encoded]], workers: int) -> float:
    """Texts a second that `workers` threads get through."""
    backend.logits(batches[0])
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(backend.logits, batches):
            pass
    return sum(map(len, batches)) / (time.perf_counter() - start)


def limits(
    make: "dict[int, Backend]", encoded: Sequence[Encoded], windows: Sequence[int]
) -> dict[str, dict[str, object]]:
    """The best set-up of each way to batch: its texts/s, workers, threads and batch."""
    ways: dict[str, list[tuple[int, list[list[Encoded]]]]] = {
        "one at a time": [(1, [[text] for text in encoded])],
        **{
            f"window {window}": [
                (b, list(windowed(encoded, window, b))) for b in BATCHES if b <= window
            ]
            for window in windows
        },
        "sorted": [(b, list(windowed(sorted(encoded, key=len), len(encoded), b))) for b in BATCHES],
    }
    results: dict[str, dict[str, object]] = {}
    for way, candidates in ways.items():
        best: dict[str, object] = {"texts_per_second": 0.0}
        for workers, threads in SETUPS:
            for batch, batches in candidates:
                rate = speed(make[threads], batches, workers)
                if rate > float(str(best["texts_per_second"])):
                    best = {
                        "texts_per_second": round(rate, 1),
                        "workers": workers,
                        "threads": threads,
                        "batch": batch,
                    }
        results[way] = best
    return results


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table as JSON lines."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path(".cache/prepared/sst2-minilm"))
    parser.add_argument("--backend", choices=("torch", "fp32", "int8"), default="int8")
    parser.add_argument("--texts", type=int, default=400)
    options = parser.parse_args(argv)
    artifacts = Artifacts(options.model)
    backends: dict[int, Backend] = {
        threads: TorchBackend(artifacts, threads)
        if options.backend == "torch"
        else OnnxBackend(artifacts, threads, options.backend)
        for _, threads in SETUPS
    }
    encoded = backends[1].encode(texts(options.texts))
    for way, best in limits(backends, encoded, (16, 64)).items():
        print(json.dumps({"backend": options.backend, "way": way, **best}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
