"""Charts of the Latency page: how the times are spread."""

from collections.abc import Mapping, Sequence

import altair as alt

from ui.answers import NAMES, Backend
from ui.charts.palette import backend_colour, backend_dash, records
from ui.latency import ecdf

WIDE_SPREAD = 20
"""Times further apart than this share an axis only where it is logarithmic."""


def spread(taken: Mapping[Backend, Sequence[float]], basis: str) -> alt.Chart:
    """Draw for each backend the share of requests answered within a time."""
    rows = [
        {"backend": NAMES[backend], "ms": ms, "share": share}
        for backend, times in taken.items()
        for ms, share in [*((ms, 0.0) for ms in times[:1]), *ecdf(times)]
    ]
    everything = [ms for times in taken.values() for ms in times]
    wide = max(everything, default=0) > WIDE_SPREAD * max(min(everything, default=0), 0.01)
    chart: alt.Chart = (
        alt.Chart(records(rows))
        .mark_line(interpolate="step-after", strokeWidth=2.5)
        .encode(
            x=alt.X(
                "ms:Q",
                title=f"{basis}, milliseconds{' (logarithmic)' if wide else ''}",
                scale=alt.Scale(type="log") if wide else alt.Scale(zero=True),
                axis=alt.Axis(tickCount=8),
            ),
            y=alt.Y("share:Q", title="share of requests", axis=alt.Axis(format="%")),
            color=backend_colour(),
            strokeDash=backend_dash(),
            tooltip=[
                alt.Tooltip("backend:N"),
                alt.Tooltip("ms:Q", format=".2f", title="milliseconds"),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
        .properties(height=340)
    )
    return chart
