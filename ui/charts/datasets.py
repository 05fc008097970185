"""Charts of the Datasets page: labels, scores, and given against found."""

from collections import Counter
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np

from ui.answers import NAMES, Backend
from ui.charts.palette import backend_colour, backend_dash, records
from ui.labels import plain
from ui.quality import Quality
from ui.scoring import Progress

BINS = 20
SHOWN_LABELS = 12


def labels(sides: Mapping[Backend, Progress], known: Sequence[str]) -> alt.Chart:
    """How many rows each backend gave each label."""
    found = {
        backend: Counter(r.label for r in side.rows if r.label is not None)
        for backend, side in sides.items()
    }
    everything = sum(found.values(), Counter(dict.fromkeys(known, 0)))
    names = sorted({*known, *everything}, key=lambda label: -everything[label])
    rows = [
        {"backend": NAMES[backend], "label": plain(label), "rows": one[label]}
        for backend, one in found.items()
        for label in names[:SHOWN_LABELS]
    ]
    chart: alt.Chart = (
        alt.Chart(records(rows))
        .mark_bar(cornerRadiusEnd=3)
        .encode(
            y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=140)),
            yOffset=alt.YOffset("backend:N", sort=list(NAMES.values())),
            x=alt.X("rows:Q", title="rows", axis=alt.Axis(tickMinStep=1, tickCount=6, format="~s")),
            color=backend_colour(),
            tooltip=["backend:N", "label:N", "rows:Q"],
        )
        .properties(height=max(260, 46 * min(len(names), SHOWN_LABELS) + 100))
    )
    return chart


def scores(sides: Mapping[Backend, Progress]) -> alt.Chart:
    """How sure each backend was, as a histogram."""
    rows = []
    for backend, side in sides.items():
        values = [r.score for r in side.rows if r.score is not None]
        amounts, edges = np.histogram(values, bins=BINS, range=(0.0, 1.0))
        rows += [
            {"backend": NAMES[backend], "from": low, "to": high, "rows": int(amount)}
            for amount, low, high in zip(
                amounts, edges[:-1].tolist(), edges[1:].tolist(), strict=True
            )
        ]
    chart: alt.Chart = (
        alt.Chart(records(rows))
        .mark_line(interpolate="step", strokeWidth=2.5)
        .encode(
            x=alt.X(
                "middle:Q",
                title="score of the label",
                axis=alt.Axis(format="%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            y=alt.Y("rows:Q", title="rows", axis=alt.Axis(tickMinStep=1, tickCount=5)),
            color=backend_colour(),
            strokeDash=backend_dash(),
            tooltip=[
                "backend:N",
                alt.Tooltip("from:Q", format="%"),
                alt.Tooltip("to:Q", format="%"),
                "rows:Q",
            ],
        )
        .transform_calculate(middle="(datum.from + datum.to) / 2")
        .properties(height=260)
    )
    return chart


def confusion(quality: Quality) -> alt.LayerChart:
    """Given labels down, found labels across; dark where many are."""
    rows = [
        {"given": plain(given), "found": plain(found), "rows": quality.confusion[given, found]}
        for given in quality.classes
        for found in quality.classes
    ]
    largest = max(quality.confusion.values())
    many = len(quality.classes) > SHOWN_LABELS // 2
    base = alt.Chart(records(rows)).encode(
        x=alt.X("found:N", title="found", sort=None, axis=alt.Axis(labelAngle=-60 if many else 0)),
        y=alt.Y("given:N", title="given", sort=None),
        tooltip=["given:N", "found:N", "rows:Q"],
    )
    squares = base.mark_rect().encode(
        color=alt.Color("rows:Q", legend=None, scale=alt.Scale(range=["#dbe6fb", "#2f5fd0"]))
    )
    numbers = base.mark_text(fontSize=9 if many else 13).encode(
        text=alt.Text("rows:Q", format=",d"),
        color=alt.condition(
            f"datum.rows > {largest} / 2", alt.value("white"), alt.value("#1d2433")
        ),
    )
    height = (24 if many else 50) * len(quality.classes) + 80
    return alt.LayerChart(layer=[squares, numbers], height=height)
