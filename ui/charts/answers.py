"""Charts of the Compare page: the classes' scores, and where the time went."""

from collections.abc import Mapping, Sequence

import altair as alt

from ui.answers import NETWORK, Answer, Backend
from ui.charts.palette import records
from ui.charts.parts import stacked
from ui.labels import look, plain

ROW_HEIGHT = 32
SHOWN_CLASSES = 8


def scores(answer: Answer, labels: Sequence[str]) -> alt.Chart:
    """A bar a class, in the model's order, so that charts side by side compare.

    Of many classes only the best are shown, best first.
    """
    shown = answer.scores[:SHOWN_CLASSES]
    if len(labels) <= SHOWN_CLASSES:
        shown = tuple(
            sorted(shown, key=lambda s: labels.index(s.label) if s.label in labels else 0)
        )
    rows = [
        {"label": plain(s.label), "score": s.score, "colour": look(s.label, labels).colour}
        for s in shown
    ]
    chart: alt.Chart = (
        alt.Chart(records(rows))
        .mark_bar(cornerRadiusEnd=3, size=16)
        .encode(
            color=alt.Color("colour:N", scale=None, legend=None),
            y=alt.Y(
                "label:N",
                title=None,
                sort=[plain(s.label) for s in shown],
                axis=alt.Axis(labelLimit=140),
            ),
            x=alt.X(
                "score:Q",
                title=None,
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", tickCount=5),
            ),
            tooltip=[
                alt.Tooltip("label:N", title="class"),
                alt.Tooltip("score:Q", format=".6f"),
            ],
        )
        .properties(height=ROW_HEIGHT * len(shown) + 35)
    )
    return chart


def times(answers: Mapping[Backend, Answer]) -> alt.Chart:
    """The parts of each backend's round trip, one behind the other on one scale."""
    return stacked({backend: parts(answer) for backend, answer in answers.items()})


def parts(answer: Answer) -> dict[str, float]:
    """Split a round trip; without the service's own times all of it is the way."""
    if answer.timing is None:
        return {NETWORK: answer.round_trip}
    return answer.timing.parts(answer.round_trip)
