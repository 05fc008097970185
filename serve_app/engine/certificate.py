"""A replica's proof that it answers, on the CPU it runs on, as the model did at preparation."""

import platform
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve_app.engine.artifacts import Artifacts
from serve_app.engine.backend import Backend
from serve_app.engine.postprocess import DEFAULT_FUNCTION, apply, flips

COMPANY = 8
"""Golden texts of a batch: for the drift."""
FP32_BOUND = 1e-4
"""Largest |Δp| between two ways of computing the model in fp32."""
BATCH_BOUND = 1e-3
"""Largest |Δp| of a text between two ways of batching it, in any precision."""
SLACK = 1e-2
"""What int8 may add on another CPU to the |Δp| seen at preparation: a rounding step flipped by
the last bit of a float moves one activation by one level."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the golden texts showed on this CPU.

    Attributes:
        max_difference: largest |Δp| against torch at preparation.
        bound: what it may be.
        flips: golden texts with another label than torch gave.
        batch_drift: largest |Δp| between a golden text alone and in company.
        passed: both within their bounds.
        seconds: what the replay took.
    """

    backend: str
    precision: str
    cpu: str
    threads: int
    texts: int
    max_difference: float
    bound: float
    flips: int
    batch_drift: float
    passed: bool
    seconds: float

    def __str__(self) -> str:
        verdict = "certified" if self.passed else "NOT certified"
        return (
            f"{self.backend} {self.precision} {verdict} on {self.cpu}: {self.texts} golden texts,"
            f" |Δp| {self.max_difference:.2g} (bound {self.bound:.2g}), {self.flips} flips,"
            f" batch drift {self.batch_drift:.2g}, {self.seconds:.1f} s"
        )


def certify(backend: Backend, artifacts: Artifacts) -> Certificate:
    """Replay the golden texts, each alone and in a batch with others."""
    start = time.perf_counter()
    function = DEFAULT_FUNCTION[artifacts.manifest.problem_type]
    golden = np.asarray(artifacts.golden.probabilities)
    encoded = backend.encode(artifacts.golden.texts)
    alone = apply(np.concatenate([backend.logits([text]) for text in encoded]), function)
    company = apply(
        np.concatenate(
            [backend.logits(encoded[at : at + COMPANY]) for at in range(0, len(encoded), COMPANY)]
        ),
        function,
    )
    difference = float(max(np.abs(alone - golden).max(), np.abs(company - golden).max()))
    drift = float(np.abs(alone - company).max())
    if backend.precision == "int8":
        bound = artifacts.manifest.measured["int8"].max_difference + SLACK
    else:
        bound = FP32_BOUND
    return Certificate(
        backend=backend.name,
        precision=backend.precision,
        cpu=cpu_name(),
        threads=backend.threads,
        texts=len(golden),
        max_difference=difference,
        bound=bound,
        flips=flips(alone, golden, artifacts.manifest.problem_type),
        batch_drift=drift,
        passed=difference <= bound and drift <= BATCH_BOUND,
        seconds=time.perf_counter() - start,
    )


def cpu_name(info: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name and the integer instructions that decide how int8 is computed."""
    try:
        text = info.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux
        return platform.processor() or platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    have = set(text.split())
    features: Sequence[str] = [
        name for name in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "asimddp") if name in have
    ]
    name = model.group(1).strip() if model else platform.machine()
    return f"{name} ({', '.join(features)})" if features else name
