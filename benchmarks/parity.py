"""Accuracy and parity of torch, ONNX fp32 and ONNX int8 on a labelled file, as replicas run them.

Flips and |Δp| are against torch; drift is the largest |Δp| of a text between being alone and being
batched with texts of other lengths.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serve_app.engine.artifacts import Artifacts
from serve_app.engine.backend import Backend
from serve_app.engine.certificate import flips
from serve_app.engine.onnx_backend import OnnxBackend
from serve_app.engine.postprocess import DEFAULT_FUNCTION, apply
from serve_app.engine.torch_backend import TorchBackend


def read(path: Path) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Texts and label indices of a file with the columns `sentence` and `label`."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["sentence"] for row in rows], np.array([int(row["label"]) for row in rows])


def probabilities(
    backend: Backend, artifacts: Artifacts, texts: Sequence[str], batch: int
) -> npt.NDArray[np.float64]:
    """[texts, classes], in batches of texts as they stand in the file."""
    encoded = backend.encode(texts)
    pieces = [backend.logits(encoded[at : at + batch]) for at in range(0, len(encoded), batch)]
    return apply(np.concatenate(pieces), DEFAULT_FUNCTION[artifacts.manifest.problem_type])


def measure(artifacts: Artifacts, path: Path) -> list[dict[str, Any]]:
    """One record for each way to run the model."""
    texts, labels = read(path)
    backends: list[Backend] = [TorchBackend(artifacts, 2)]
    backends += [OnnxBackend(artifacts, 2, name) for name in artifacts.manifest.measured]
    reference: npt.NDArray[np.float64] | None = None
    records = []
    for backend in backends:
        alone = probabilities(backend, artifacts, texts, 1)
        company = probabilities(backend, artifacts, texts, 16)
        reference = alone if reference is None else reference
        difference = np.abs(alone - reference)
        records.append(
            {
                "backend": backend.name,
                "precision": backend.precision,
                "texts": len(texts),
                "accuracy": float((alone.argmax(axis=1) == labels).mean()),
                "flips": flips(alone, reference, artifacts.manifest.problem_type),
                "median_difference": float(np.median(difference.max(axis=1))),
                "max_difference": float(difference.max()),
                "batch_drift": float(np.abs(alone - company).max()),
            }
        )
    return records


def table(records: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| backend | accuracy | flips | median \\|Δp\\| | max \\|Δp\\| | moves with its batch by |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in records:
        lines.append(
            f"| {r['backend']} {r['precision']} | {r['accuracy']:.4f} | {r['flips']} of"
            f" {r['texts']} | {r['median_difference']:.1e} | {r['max_difference']:.1e} |"
            f" {r['batch_drift']:.1e} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; write the records where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("labelled", type=Path, help="a file such as SST-2's dev.tsv")
    parser.add_argument("--model", type=Path, default=Path(".cache/prepared/sst2-minilm"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    records = measure(Artifacts(options.model), options.labelled)
    if options.json:
        options.json.write_text(json.dumps(records, indent=1) + "\n")
    print(table(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
