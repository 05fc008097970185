"""The comparisons of a session as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ui.answers import Answer
from ui.compare import Comparison

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
    """Count agreement and add up both backends' times, on the basis each comparison has."""
    done = [c for c in comparisons if c.times is not None]
    return Totals(
        count=len(done),
        agreed=sum(bool(c.agree) for c in done),
        torch_ms=sum(c.times[0] for c in done if c.times),
        onnx_ms=sum(c.times[1] for c in done if c.times),
    )


def csv(frame: pd.DataFrame) -> bytes:
    frame = frame.assign(text=frame["text"].map(no_formula))
    written: str = frame.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S%z")
    return written.encode()
