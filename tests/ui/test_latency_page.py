"""The Latency page, against a real HTTP server."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.acting import ended
from tests.ui.conftest import Open
from tests.ui.reading import button, read
from tests.ui.stand_in import Refusal, StandIn, cluster


def measure(app: AppTest, amount: int = 12) -> AppTest:
    app.number_input(key="load_requests").set_value(amount).run()
    return ended(button(app, "Measure").click().run(), "load")


def test_a_measurement_has_figures_of_both(open_page: Open, stand_in: StandIn) -> None:
    app = measure(open_page("latency"))
    table = app.dataframe[0].value
    assert table["backend"].tolist() == ["PyTorch", "ONNX Runtime"]
    assert table["requests"].tolist() == [12, 12]
    assert table["errors"].tolist() == [0, 0]
    assert (table["throughput"] > 0).all()
    assert table["batch"].tolist() == [1, 1]
    assert stand_in.asked["/onnx/infer"] == 2 * (1 + 6)
    app.segmented_control(key="load_basis").set_value("Server time").run()
    assert app.dataframe[0].value["p50"].tolist() == [7.5, 3.0]
    assert "At the median: ONNX answered in 40 % of PyTorch's time." in read(app)
    assert [b.label for b in app.download_button] == ["Download CSV"]


def test_of_several_at_a_time_the_service_s_own_time_is_shown_first(
    open_page: Open, stand_in: StandIn
) -> None:
    stand_in.cluster = cluster(2, 2)
    app = open_page("latency")
    app.select_slider(key="load_concurrency").set_value(4).run()
    measure(app)
    assert app.segmented_control(key="load_basis").value == "Server time"
    assert "At the median: ONNX answered in 40 % of PyTorch's time." in read(app)


def test_a_result_keeps_what_it_was_measured_with(
    open_page: Open, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_UI_INFO_TTL_S", "0.001")
    app = measure(open_page("latency"))
    stand_in.info["backends"]["onnx"]["precision"] = "fp32"
    app.segmented_control(key="load_basis").set_value("Server time").run()
    words = read(app)
    assert "ONNX Runtime: fp32, 1 thread" in words, "what is served now"
    assert "ONNX Runtime with int8, 1 thread" in words


def test_own_texts_are_measured(open_page: Open, stand_in: StandIn) -> None:
    app = open_page("latency")
    app.segmented_control(key="load_source").set_value("My own").run()
    assert button(app, "Measure").disabled
    app.text_area(key="load_texts").set_value("one\n\n two \n").run()
    measure(app, 4)
    asked = {json.loads(r[3])["input"] for r in stand_in.requests if r[1] == "/onnx/infer"}
    assert asked == {"one", "two"}


def test_no_ratio_under_load_where_workers_differ(open_page: Open, stand_in: StandIn) -> None:
    stand_in.info["backends"]["onnx"]["workers"] = 1
    assert "PyTorch has 2 and ONNX 1 workers" in read(measure(open_page("latency")))


def test_a_measurement_that_is_refused_says_why(open_page: Open, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx/infer"] = Refusal(429, {}, {"Retry-After": "7"})
    words = read(measure(open_page("latency")))
    assert "ONNX Runtime ended early." in words
    assert "The page has used up its quota for the moment." in words


def test_errors_are_counted_and_explained(open_page: Open, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx/infer"] = Refusal(422, {"detail": "The text is too long."})
    words = read(measure(open_page("latency"), 6))
    assert "ONNX Runtime, 6 of 6: The service cannot take this input." in words
    assert "Change it and ask again." in words
    assert "The text is too long." in words
    assert "No ratio: not every request was answered by both." in words.replace("**", "")


def test_progress_can_be_cancelled(open_page: Open) -> None:
    app = open_page("latency")
    app.number_input(key="load_requests").set_value(1000).run()
    button(app, "Measure").click().run()
    button(app, "Cancel").click().run()
    assert "Cancelled" in read(ended(app, "load"))
