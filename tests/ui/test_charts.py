"""Charts are checked as what the browser gets: valid Vega-Lite with the right rows."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import altair as alt
import pytest

from tests.ui import stand_in
from tests.ui.test_compare import answer
from ui.answers import Cluster, Score, Scored, Timing
from ui.charts import answers, cluster, datasets, latency
from ui.charts.palette import BACKEND_COLOURS
from ui.labels import POSITIVE
from ui.quality import Quality
from ui.scoring import Progress
from ui.watch import Look


def rows(chart: alt.Chart | alt.LayerChart) -> list[dict[str, Any]]:
    """Validate a chart against the schema, and give its rows."""
    drawn = chart.to_dict()
    (found,) = drawn["datasets"].values()
    return list(found)


def test_classes_are_bars_in_their_own_colours() -> None:
    found = rows(answers.scores(answer("onnx"), ["NEGATIVE", "POSITIVE"]))
    assert found == [{"label": "Positive", "score": 0.9, "colour": POSITIVE.colour}]


def test_of_many_classes_the_best_are_shown() -> None:
    many = tuple(Score(f"C{n}", 1 / (n + 1)) for n in range(28))
    assert len(rows(answers.scores(answer("onnx", scores=many), []))) == answers.SHOWN_CLASSES


def test_the_parts_of_a_round_trip_add_up() -> None:
    timing = Timing(queue=1, tokenize=1, inference=3, total=6)
    found = answers.parts(answer("onnx", timing=timing, round_trip=9.0))
    assert found == {"queue": 1, "tokenize": 1, "inference": 3, "other": 1, "network and client": 3}
    assert answers.parts(answer("onnx")) == {"network and client": 10.0}
    assert len(rows(answers.times({"onnx": answer("onnx", 4.0)}))) == 5


def test_the_ecdf_starts_at_nothing_and_has_every_time() -> None:
    chart = latency.spread({"transformers": [1.0, 2.0], "onnx": []}, "Round trip")
    assert [(r["ms"], r["share"]) for r in rows(chart)] == [(1.0, 0.0), (1.0, 0.5), (2.0, 1.0)]


def test_labels_and_scores_are_counted() -> None:
    side = Progress(3, [Scored(0, "A", 0.97), Scored(1, "A", 0.5), Scored(2, error="No.")])
    counted = rows(datasets.labels({"onnx": side}, ["A", "B"]))
    assert [(r["label"], r["rows"]) for r in counted] == [("A", 2), ("B", 0)]
    assert sum(r["rows"] for r in rows(datasets.scores({"onnx": side}))) == 2


def test_the_confusion_matrix_has_a_square_for_every_pair() -> None:
    judged = Quality(0.5, 0.5, 2, ("A", "B"), Counter({("A", "A"): 1, ("A", "B"): 1}))
    assert [r["rows"] for r in rows(datasets.confusion(judged))] == [1, 1, 0, 0]


@pytest.mark.parametrize("draw", [cluster.replicas, cluster.load])
def test_the_cluster_over_time(draw: Any) -> None:
    look = Look(datetime.now(UTC), Cluster.model_validate(stand_in.cluster()))
    found = rows(draw([look, look]))
    assert {r["backend"] for r in found} == set(BACKEND_COLOURS)
