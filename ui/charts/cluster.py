"""Charts of the Cluster page: replicas over time, and the load they answer to."""

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt

from ui.answers import BACKENDS, NAMES
from ui.charts.palette import backend_colour, backend_dash, records
from ui.watch import Look

FEW = 3
"""Fewer looks than this make no line one could see."""


def name_of(deployment: str) -> str:
    """Name a deployment as the other pages name its backend."""
    return next((NAMES[b] for b in BACKENDS if b == deployment), deployment)


def replicas(looks: Sequence[Look]) -> alt.Chart:
    """Running replicas as a line, the number asked for as a dashed one."""
    rows = [
        {**_stamp(look, name), "kind": kind, "replicas": value}
        for look in looks
        for name, deployment in look.cluster.deployments.items()
        for kind, value in (("running", deployment.running), ("target", deployment.target))
    ]
    chart: alt.Chart = (
        alt.Chart(records(rows))
        .mark_line(interpolate="step-after", strokeWidth=2.5, point=len(looks) < FEW)
        .encode(
            x=_time(),
            y=alt.Y(
                "replicas:Q",
                title="replicas",
                scale=_from_nothing(row["replicas"] for row in rows),
                axis=alt.Axis(tickMinStep=1, format="d"),
            ),
            color=backend_colour(),
            strokeDash=alt.StrokeDash(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=["running", "target"], range=[[1, 0], [4, 4]]),
                legend=alt.Legend(orient="bottom", direction="horizontal"),
            ),
            tooltip=["backend:N", "kind:N", "replicas:Q", alt.Tooltip("at:T", format="%X")],
        )
        .properties(height=300)
    )
    return chart


def load(looks: Sequence[Look]) -> alt.Chart:
    """Texts waiting and requests under way, of each deployment."""
    rows = [
        {
            **_stamp(look, name),
            "texts": deployment.waiting_texts,
            "requests": deployment.ongoing_requests,
        }
        for look in looks
        for name, deployment in look.cluster.deployments.items()
    ]
    chart: alt.Chart = (
        alt.Chart(records(rows))
        .mark_line(interpolate="step-after", strokeWidth=2.5, point=len(looks) < FEW)
        .encode(
            x=_time(),
            y=alt.Y(
                "texts:Q",
                title="waiting texts",
                scale=_from_nothing(row["texts"] for row in rows),
                axis=alt.Axis(tickMinStep=1, format="d"),
            ),
            color=backend_colour(),
            strokeDash=backend_dash(),
            tooltip=[
                "backend:N",
                alt.Tooltip("texts:Q", title="waiting texts"),
                alt.Tooltip("requests:Q", title="ongoing requests"),
                alt.Tooltip("at:T", format="%X"),
            ],
        )
        .properties(height=220)
    )
    return chart


def _stamp(look: Look, deployment: str) -> dict[str, Any]:
    return {"at": look.at.isoformat(), "backend": name_of(deployment)}


def _from_nothing(values: Iterable[float]) -> alt.Scale:
    """Begin an axis at nothing, and let it reach one even where nothing ever happened."""
    return alt.Scale(domain=[0, max(1, *values)], nice=True)


def _time() -> alt.X:
    return alt.X("at:T", title=None, axis=alt.Axis(format="%H:%M:%S", tickCount=5))
