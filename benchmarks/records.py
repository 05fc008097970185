"""What a run leaves as JSON: its machine, its options, and a record for each cell of each round."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from benchmarks.graphs import Precision
from serve_app.engine.certificate import cpu_name

RESULTS = Path(__file__).parent / "results"
LEAST = {"p50": 1, "p95": 20, "p99": 100}
"""Answers of which one is beyond it."""
LIBRARIES = ("ray", "torch", "onnxruntime", "transformers", "tokenizers", "fastapi", "uvicorn")


@dataclass(frozen=True)
class Cell:
    """What one server did at one concurrency with lists of one length, in one round.

    Attributes:
        model: name of the prepared folder.
        server: key of the set-up.
        texts_each: texts in each request.
        cpu_ms: CPU of the server's processes for each request answered.
        memory_mb: their memory at the window's end, shared pages counted once.
    """

    model: str
    server: str
    precision: Precision
    texts_each: int
    concurrency: int
    round: int
    requests: int
    errors: int
    requests_per_second: float
    p50: float | None
    p95: float | None
    p99: float | None
    cpu_ms: float | None
    memory_mb: float

    def latency(self, name: Literal["p50", "p95", "p99"]) -> float | None:
        """One of its latencies; None where too few answers were seen to tell it, or fewer than
        clients: those that were not seen are the slow ones."""
        found: float | None = getattr(self, name)
        least = max(LEAST[name], self.concurrency)
        return found if self.requests >= least else None


@dataclass(frozen=True)
class Agreement:
    """How a server's answers to the golden texts compare with torch's.

    Attributes:
        asked: texts that it was asked; not all of them where it stops answering.
        refused: of them, those that it gave no answer to.
    """

    model: str
    server: str
    precision: Precision
    asked: int
    refused: int
    flips: int
    max_difference: float


@dataclass(frozen=True)
class Candidate:
    """One set-up of the model in process.

    Attributes:
        way: how its batches were formed.
        rates: texts a second, in each round.
    """

    model: str
    precision: Precision
    way: str
    workers: int
    threads: int
    batch: int
    rates: list[float]


@dataclass
class Run:
    """One run of the comparison, or several that were put together.

    Attributes:
        options: of each model, those that it was measured with.
    """

    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=lambda: machine())
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    limits: list[Candidate] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        write(path, asdict(self))

    def begin(self, model: str, options: dict[str, Any]) -> None:
        """Measure a model anew."""
        self.options[model] = options
        self.cells = [cell for cell in self.cells if cell.model != model]
        self.agreements = [one for one in self.agreements if one.model != model]
        self.limits = [one for one in self.limits if one.model != model]
        self.failures = {
            what: why for what, why in self.failures.items() if not what.startswith(f"{model}, ")
        }

    @classmethod
    def read(cls, path: Path) -> "Run":
        said = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            options=said["options"],
            machine=said["machine"],
            servers=said["servers"],
            cells=[Cell(**cell) for cell in said["cells"]],
            agreements=[Agreement(**agreement) for agreement in said["agreements"]],
            limits=[Candidate(**candidate) for candidate in said["limits"]],
            failures=said["failures"],
        )


def write(path: Path, record: Any) -> None:
    """Write JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def machine() -> dict[str, Any]:
    """The processor and the versions that the figures belong to."""
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
    }


def in_words(said: dict[str, Any]) -> str:
    """`machine()` in a sentence."""
    versions = ", ".join(f"{name} {number}" for name, number in said["versions"].items())
    return f"{said['cpu']}, {said['cores']} cores, Python {said['python']}, {versions}"


def spread(values: Sequence[float]) -> str:
    """Least to most."""
    return f"{number(min(values))}–{number(max(values))}"


def number(value: float | None) -> str:
    """Three figures at the most, no more than are worth reading."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
