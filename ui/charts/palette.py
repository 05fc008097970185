"""The colours that mean the same on every page, chosen to read on light and on dark ground."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from ui.answers import NAMES, NETWORK

BACKEND_COLOURS = {NAMES["transformers"]: "#e0702f", NAMES["onnx"]: "#3d7be0"}

PARTS = {
    "queue": "#b9a23a",
    "tokenize": "#2a9d8f",
    "inference": "#3d7be0",
    "other": "#8b62d9",
    NETWORK: "#8a93a3",
}
"""The parts of a round trip, in the order in which they happen."""


def backend_dash() -> alt.StrokeDash:
    """Dash the second backend's line, so that the first shows through where they coincide."""
    return alt.StrokeDash(
        "backend:N",
        title=None,
        scale=alt.Scale(domain=list(BACKEND_COLOURS), range=[[1, 0], [6, 3]]),
    )


def backend_colour() -> alt.Color:
    """Colour marks by backend, with the legend above the chart."""
    return alt.Color(
        "backend:N",
        title=None,
        scale=scale(BACKEND_COLOURS),
        legend=alt.Legend(orient="top", direction="horizontal"),
    )


def scale(colours: dict[str, str]) -> alt.Scale:
    return alt.Scale(domain=list(colours), range=list(colours.values()))


def records(rows: Sequence[dict[str, Any]]) -> alt.InlineData:
    """Carry rows in the chart itself."""
    return alt.InlineData(values=list(rows))
