"""The parts of a round trip, one behind the other."""

from collections.abc import Mapping

import altair as alt

from ui.answers import NAMES, Backend
from ui.charts.palette import PARTS, records, scale


def stacked(parts: Mapping[Backend, Mapping[str, float]]) -> alt.Chart:
    """Stack the parts of each backend's round trip."""
    order = list(PARTS)
    rows = [
        {"backend": NAMES[backend], "part": part, "ms": ms, "order": order.index(part)}
        for backend, shares in parts.items()
        for part, ms in shares.items()
    ]
    chart: alt.Chart = (
        alt.Chart(records(rows))
        .mark_bar(size=24)
        .encode(
            y=alt.Y("backend:N", title=None, sort=list(NAMES.values())),
            x=alt.X("ms:Q", title="milliseconds", stack="zero", axis=alt.Axis(tickCount=8)),
            color=alt.Color(
                "part:N",
                title=None,
                sort=order,
                scale=scale(PARTS),
                legend=alt.Legend(orient="top", direction="horizontal", columns=2),
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("backend:N"),
                alt.Tooltip("part:N"),
                alt.Tooltip("ms:Q", format=".2f", title="milliseconds"),
            ],
        )
        .properties(height=48 * len(parts) + 145)
    )
    return chart
