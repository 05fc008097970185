"""The model card's sets, as served: `python -m benchmarks.accuracy --data DIR`.

Every text is asked of both backends over HTTP, int8 and all: what a client gets, beside the goals
of the card.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.catalog import SERVICE
from benchmarks.graphs import BUNDLED
from benchmarks.records import RESULTS, in_words, machine, write
from benchmarks.servers import Server
from training.arguments import add_data, data_folder
from training.data import POSITIVE, Row
from training.evaluate import DEV, GOALS, TestSet, read_sets

BACKENDS = ("transformers", "onnx")
PIECE = 64
MOST_FLIPS = 4
MOST_MEDIAN = 0.005
"""What the card asks of int8 on dev: labels that differ, and the median |Δp|."""


def positive(server: Server, backend: str, rows: Sequence[Row]) -> list[float]:
    """The probability of `POSITIVE` of each row."""
    found: list[float] = []
    for at in range(0, len(rows), PIECE):
        texts = [row.text for row in rows[at : at + PIECE]]
        answers = server.ask(texts, timeout=120, path=f"/{backend}/infer")
        found += [score if label == "POSITIVE" else 1 - score for label, score in answers]
    return found


def measured(test: TestSet, scores: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Each backend's accuracy on a set, and how far the two are apart on it.

    Args:
        scores: what `positive` found, of each backend.
    """
    pairs = list(zip(*scores.values(), strict=True))
    return {
        "name": test.name,
        "rows": len(test.rows),
        "accuracy": {
            backend: sum(
                (score > 0.5) == (row.label == POSITIVE)
                for score, row in zip(found, test.rows, strict=True)
            )
            / len(test.rows)
            for backend, found in scores.items()
        },
        "flips": sum((a > 0.5) != (b > 0.5) for a, b in pairs),
        "median_difference": median(abs(a - b) for a, b in pairs),
    }


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes; a goal is met where both backends meet it."""
    dev = next(one for one in said["sets"] if one["name"] == DEV)
    lines = [
        f"Measured on {in_words(said['machine'])}: `POST /transformers/infer` and"
        " `POST /onnx/infer` (int8), lists of texts.",
        "",
        "| set | rows | torch | ONNX int8 | goal | met | labels that differ | median \\|Δp\\| |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    for one in said["sets"]:
        accuracy, goal, met = one["accuracy"], "", ""
        if one["name"] in GOALS:
            asked = {b: GOALS[one["name"]].asked(dev["accuracy"][b]) for b in BACKENDS}
            goal = " / ".join(dict.fromkeys(f"{asked[b]:.4f}" for b in BACKENDS))
            met = "yes" if all(accuracy[b] >= asked[b] for b in BACKENDS) else "no"
        lines.append(
            f"| {one['name']} | {one['rows']} | {accuracy['transformers']:.4f} |"
            f" {accuracy['onnx']:.4f} | {goal} | {met} | {one['flips']} |"
            f" {one['median_difference']:.1e} |"
        )
    close = dev["flips"] <= MOST_FLIPS and dev["median_difference"] <= MOST_MEDIAN
    return "\n".join(
        [
            *lines,
            "",
            f"Asked of int8 on dev: at most {MOST_FLIPS} labels that differ and a median of"
            f" {MOST_MEDIAN}, {'met' if close else 'not met'}.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Ask, write the JSON, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    add_data(parser)
    parser.add_argument("--model", type=Path, default=BUNDLED, help="a prepared folder")
    parser.add_argument("--output", type=Path, default=RESULTS / "accuracy.json")
    options = parser.parse_args(argv)
    sets = [test for test in read_sets(data_folder(options)) if test.rows]
    with Server(SERVICE, "int8", options.model) as server:
        said: dict[str, Any] = {"machine": machine(), "sets": []}
        for test in sets:
            scores = {backend: positive(server, backend, test.rows) for backend in BACKENDS}
            said["sets"].append(measured(test, scores))
            print(f"{test.name}: {len(test.rows)} texts", file=sys.stderr)
    write(options.output, said)
    print(table(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
