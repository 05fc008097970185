"""What a run of many requests says: percentiles, throughput, and where the time went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ui.answers import NAMES, Backend
from ui.history import no_formula
from ui.load import Sample, Side

PERCENTILES = (50, 90, 95, 99)
BASES = ("Round trip", "Server time")
PARTS = ("queue", "tokenize", "inference", "other", "network")


@dataclass(frozen=True, slots=True)
class Summary:
    requests: int
    errors: int
    seconds: float
    mean: float | None
    percentiles: dict[int, float]
    largest: float | None

    @property
    def throughput(self) -> float | None:
        """Answers a second, errors not counted."""
        answers = self.requests - self.errors
        return answers / self.seconds if answers and self.seconds > 0 else None


def times(samples: Sequence[Sample], basis: str) -> list[float]:
    """List the milliseconds of all requests that were answered, shortest first."""
    if basis == "Server time":
        found = [s.timing.server for s in samples if s.timing]
    else:
        found = [s.round_trip for s in samples if s.round_trip is not None]
    return sorted(found)


def summary(side: Side, basis: str) -> Summary:
    taken = times(side.samples, basis)
    return Summary(
        requests=len(side.samples),
        errors=sum(s.error is not None for s in side.samples),
        seconds=side.seconds,
        mean=float(np.mean(taken)) if taken else None,
        percentiles={p: float(np.percentile(taken, p)) for p in PERCENTILES} if taken else {},
        largest=taken[-1] if taken else None,
    )


def table(summaries: Mapping[Backend, Summary]) -> pd.DataFrame:
    """One row a backend."""
    return pd.DataFrame(
        [
            {
                "backend": NAMES[backend],
                "requests": s.requests,
                "errors": s.errors,
                "throughput": s.throughput,
                "mean": s.mean,
                **{f"p{p}": s.percentiles.get(p) for p in PERCENTILES},
                "max": s.largest,
            }
            for backend, s in summaries.items()
        ]
    )


def ecdf(taken: Sequence[float]) -> list[tuple[float, float]]:
    """Pair each time with the share of requests that took no longer; `taken` is sorted."""
    return [(ms, (place + 1) / len(taken)) for place, ms in enumerate(taken)]


def parts(samples: Sequence[Sample]) -> dict[str, float]:
    """Average the parts of the answered requests; averages add up, percentiles would not."""
    rows = [
        (
            s.timing.queue,
            s.timing.tokenize,
            s.timing.inference,
            s.timing.other,
            max(0.0, s.round_trip - s.timing.server),
        )
        for s in samples
        if s.timing and s.round_trip is not None
    ]
    if not rows:
        return {}
    return dict(zip(PARTS, np.mean(rows, axis=0).tolist(), strict=True))


def percent(summaries: Mapping[Backend, Summary]) -> float | None:
    """ONNX's median as a percentage of PyTorch's."""
    torch = summaries["transformers"].percentiles.get(50)
    onnx = summaries["onnx"].percentiles.get(50)
    return 100 * onnx / torch if torch and onnx is not None else None


def csv(sides: Mapping[Backend, Side]) -> bytes:
    """Write every measured request as a row."""
    rows = [
        {
            "backend": backend,
            "text": no_formula(s.text),
            "round_trip_ms": s.round_trip,
            "queue_ms": s.timing.queue if s.timing else None,
            "tokenize_ms": s.timing.tokenize if s.timing else None,
            "inference_ms": s.timing.inference if s.timing else None,
            "server_ms": s.timing.server if s.timing else None,
            "batch_size": s.batch_size,
            "error": s.error,
        }
        for backend, side in sides.items()
        for s in side.samples
    ]
    written: str = pd.DataFrame(rows).to_csv(index=False)
    return written.encode()
