"""The comparisons of a session as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ui.answers import Answer
from ui.compare import Comparison, budgets

COLUMNS = (
    "at",
    "text",
    "agree",
    "torch_label",
    "torch_score",
    "torch_ms",
    "torch_round_trip_ms",
    "onnx_label",
    "onnx_score",
    "onnx_ms",
    "onnx_round_trip_ms",
    "score_difference",
    "ms_saved",
    "basis",
    "model",
    "torch_precision",
    "torch_threads",
    "onnx_precision",
    "onnx_threads",
)

SHOWN = [c for c in COLUMNS if not c.endswith("round_trip_ms")] + [
    c for c in COLUMNS if c.endswith("round_trip_ms")
]
"""What fits on a screen comes first."""

ORDERS = {
    "Newest first": ("at", False),
    "Largest score difference": ("score_difference", False),
    "Most time saved by ONNX": ("ms_saved", False),
    "Least time saved by ONNX": ("ms_saved", True),
    "Text, A to Z": ("text", True),
}


@dataclass(frozen=True, slots=True)
class Totals:
    count: int
    agreed: int
    basis: str
    timed: int
    """How many have times on that basis; only those are added up."""
    torch_ms: float
    onnx_ms: float


def table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row a comparison in which both backends answered."""
    rows = [
        (
            comparison.at,
            comparison.text,
            comparison.agree,
            *_columns(comparison.both[0]),
            *_columns(comparison.both[1]),
            comparison.score_difference,
            comparison.time_difference,
            comparison.basis,
            comparison.info.model.id,
            *(v for budget in budgets(comparison.info) for v in (budget.precision, budget.threads)),
        )
        for comparison in comparisons
        if comparison.both
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _columns(answer: Answer) -> tuple[str, float, float | None, float]:
    return answer.best.label, answer.best.score, answer.server, answer.round_trip


def ordered(frame: pd.DataFrame, order: str) -> pd.DataFrame:
    """Sort by one of `ORDERS`; equal rows keep the order they were asked in."""
    column, ascending = ORDERS[order]
    return frame.sort_values(column, ascending=ascending, kind="stable", na_position="last")


def no_formula(text: str) -> str:
    """A text that a spreadsheet does not run: it may have come by somebody's link."""
    return f"'{text}" if text and text[0] in "=+-@\t\r" else text


def totals(comparisons: Sequence[Comparison]) -> Totals:
    """Count agreement and add up both backends' times: the service's own where any is told."""
    done = [c for c in comparisons if c.both]
    basis = "server time" if any(c.basis == "server time" for c in done) else "round trip"
    times = [c.times for c in done if c.times and c.basis == basis]
    return Totals(
        count=len(done),
        agreed=sum(bool(c.agree) for c in done),
        basis=basis,
        timed=len(times),
        torch_ms=sum(torch for torch, _ in times),
        onnx_ms=sum(onnx for _, onnx in times),
    )


def csv(frame: pd.DataFrame) -> bytes:
    frame = frame.assign(text=frame["text"].map(no_formula))
    written: str = frame.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S%z")
    return written.encode()
