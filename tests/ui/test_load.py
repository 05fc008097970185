import io
import threading

import pandas as pd
import pytest

from tests.ui.stand_in import Refusal, StandIn
from ui import errors, latency, work
from ui.answers import BACKENDS, Timing
from ui.client import Client
from ui.load import LoadRun, Sample, Side, repeated


@pytest.mark.parametrize("together", [False, True])
def test_every_text_is_asked_of_both(client: Client, stand_in: StandIn, together: bool) -> None:
    run = LoadRun(client, repeated(["good", "bad", "so so"], 20), 4, together=together).start()
    assert run.join(20)
    for backend in BACKENDS:
        side = run.sides[backend]
        assert sorted(s.text for s in side.samples) == sorted(
            repeated(["good", "bad", "so so"], 20)
        )
        assert not any(s.error for s in side.samples)
        assert stand_in.asked[f"/{backend}/infer"] == 20 + 4, "each connection warms up once"
        assert side.seconds > 0


def test_an_error_is_counted_and_the_run_goes_on(client: Client, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx/infer"] = Refusal(504)
    run = LoadRun(client, ["x"] * 6, 2, together=False).start()
    assert run.join(20)
    summary = latency.summary(run.sides["onnx"], "Round trip")
    assert (summary.requests, summary.errors, summary.throughput) == (6, 6, None)
    assert run.sides["transformers"].stopped_by is None


@pytest.mark.parametrize("status", [401, 403, 429])
def test_what_more_requests_cannot_mend_ends_a_side(
    client: Client, stand_in: StandIn, status: int
) -> None:
    stand_in.refuse["/onnx/infer"] = Refusal(status)
    run = LoadRun(client, ["x"] * 50, 2, together=False).start()
    assert run.join(20)
    assert isinstance(run.sides["onnx"].stopped_by, errors.BY_STATUS[status])
    assert stand_in.asked["/onnx/infer"] <= 2
    assert len(run.sides["transformers"].samples) == 50


def test_a_cancelled_run_keeps_what_it_has(client: Client, stand_in: StandIn) -> None:
    arrived, go_on = threading.Event(), threading.Event()
    infer, asked = client.infer, iter(range(1000))

    def slow(backend, text):  # type: ignore[no-untyped-def]
        if next(asked) == 5:
            arrived.set()
            go_on.wait(10)
        return infer(backend, text)

    client.infer = slow  # type: ignore[method-assign]
    run = LoadRun(client, ["x"] * 500, 1, together=False).start()
    assert arrived.wait(10)
    run.cancel()
    go_on.set()
    assert run.join(20)
    assert 0 < len(run.sides["transformers"].samples) < 500


def test_work_nobody_looks_at_ends(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "ABANDONED_S", -1.0)
    run = LoadRun(client, ["x"] * 500, 1, together=False).start()
    assert run.join(20)
    assert run.sides["transformers"].samples == []


def side() -> Side:
    samples = [
        Sample("x", 10.0 * n, Timing(queue=1, tokenize=1, inference=4, total=8))
        for n in (4, 1, 2, 3)
    ]
    return Side([*samples, Sample("x", error="No.")], started=100.0, ended=102.0)


def test_the_summary_leaves_errors_out_of_times_and_rates() -> None:
    found = latency.summary(side(), "Round trip")
    assert (found.requests, found.errors, found.throughput) == (5, 1, 2.0)
    assert (found.mean, found.percentiles[50], found.largest) == (25.0, 25.0, 40.0)
    assert latency.summary(side(), "Server time").mean == 8.0


def test_a_side_with_nothing_in_it_has_no_figures() -> None:
    found = latency.summary(Side(), "Round trip")
    assert (found.mean, found.largest, found.throughput, found.percentiles) == (
        None,
        None,
        None,
        {},
    )
    both = {"transformers": found, "onnx": found}
    assert latency.percent(both) is None  # type: ignore[arg-type]
    assert len(latency.table(both)) == 2  # type: ignore[arg-type]


def test_the_ecdf_rises_to_one() -> None:
    assert latency.ecdf([1.0, 2.0, 2.0, 5.0]) == [(1.0, 0.25), (2.0, 0.5), (2.0, 0.75), (5.0, 1.0)]
    assert latency.ecdf([]) == []


def test_the_parts_add_up_to_the_round_trip() -> None:
    found = latency.parts(side().samples)
    assert sum(found.values()) == pytest.approx(25 + 0.0)
    assert found["other"] == 2
    assert latency.parts([]) == {}


def test_the_csv_has_every_request() -> None:
    read = pd.read_csv(io.BytesIO(latency.csv({"onnx": side()})))
    assert len(read) == 5
    assert read["error"].tolist()[-1] == "No."
