"""What a run of many requests says: percentiles, throughput, and where the time went."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ui.answers import NAMES, Backend, Info
from ui.compare import budgets, unequal
from ui.history import no_formula
from ui.load import LoadRun, Sample, Side

PERCENTILES = (50, 90, 95, 99)
ROUND_TRIP, SERVER_TIME = BASES = ("Round trip", "Server time")

BUSY = 0.35
"""From so much of a core on, the page's client, which computes one thing at a time, is what its
requests wait for: of two services, one four times as fast, it measured 44 % at 0.8 of a core."""


@dataclass(frozen=True, slots=True)
class Summary:
    requests: int
    errors: int
    seconds: float
    mean: float | None
    percentiles: dict[int, float]
    largest: float | None
    batch: float | None
    """How many texts an answer was computed together with, itself among them, on average."""

    @property
    def throughput(self) -> float | None:
        """Answers a second, errors not counted."""
        answers = self.requests - self.errors
        return answers / self.seconds if answers and self.seconds > 0 else None


def times(samples: Sequence[Sample], basis: str) -> list[float]:
    """List the milliseconds of all requests that were answered, shortest first."""
    if basis == SERVER_TIME:
        found = [s.timing.server for s in samples if s.timing]
    else:
        found = [s.round_trip for s in samples if s.round_trip is not None]
    return sorted(found)


def answered(side: Side) -> list[Sample]:
    return [s for s in side.samples if s.error is None]


def summary(side: Side, basis: str) -> Summary:
    taken = times(side.samples, basis)
    batches = [s.batch_size for s in side.samples if s.batch_size is not None]
    return Summary(
        requests=len(side.samples),
        errors=len(side.samples) - len(answered(side)),
        seconds=side.seconds,
        mean=float(np.mean(taken)) if taken else None,
        percentiles={p: float(np.percentile(taken, p)) for p in PERCENTILES} if taken else {},
        largest=taken[-1] if taken else None,
        batch=float(np.mean(batches)) if batches else None,
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
                "batch": s.batch,
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
    rows = [s.timing.parts(s.round_trip) for s in samples if s.timing and s.round_trip is not None]
    return {str(part): ms for part, ms in pd.DataFrame(rows).mean().items()}


def percent(summaries: Mapping[Backend, Summary]) -> float | None:
    """ONNX's median as a percentage of PyTorch's."""
    torch = summaries["transformers"].percentiles.get(50)
    onnx = summaries["onnx"].percentiles.get(50)
    return 100 * onnx / torch if torch and onnx is not None else None


def usual_basis(run: LoadRun) -> str:
    """Choose the time of the service alone, where it tells it, if the page asks much of itself."""
    told = all(times(side.samples, SERVER_TIME) for side in run.sides.values())
    much = run.concurrency > 1 or busiest(run) > BUSY
    return SERVER_TIME if told and much else ROUND_TRIP


def busiest(run: LoadRun) -> float:
    """Cores the page itself took beside the backend that left it less time."""
    return max(side.busy for side in run.sides.values())


def no_ratio(run: LoadRun, basis: str) -> str | None:
    """Say why the medians of both backends allow no ratio; nothing where they allow it."""
    if reason := unequal(*budgets(run.info), under_load=True):
        return reason
    if run.changed:
        return "what is served changed"
    if run.disturbed:
        return "the page was also doing other work"
    if len(set(run.replicas)) > 1:
        return "the number of replicas changed"
    if run.replicas and len(set(run.replicas[0])) > 1:
        torch, onnx = run.replicas[0]
        return f"PyTorch had {torch} replica{'' if torch == 1 else 's'} and ONNX {onnx}"
    if any(len(answered(side)) < run.total for side in run.sides.values()):
        return "not every request was answered by both"
    if basis == ROUND_TRIP and busiest(run) > BUSY:
        return (
            f"the page's own client was the limit ({100 * busiest(run):.0f} % of a core); "
            "choose server time, or `python -m benchmarks.load URL`"
        )
    return None


def failures(side: Side) -> list[tuple[str, int]]:
    """Count what went wrong, what was most often first."""
    return Counter(s.error for s in side.samples if s.error is not None).most_common()


def csv(sides: Mapping[Backend, Side], info: Info) -> bytes:
    """Write every measured request as a row, with what answered it."""
    rows = [
        {
            "backend": backend,
            "model": info.model.id,
            "precision": info.backend(backend).precision,
            "threads": info.backend(backend).threads,
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
