"""The Latency page, against a real HTTP server."""

import json

from streamlit.testing.v1 import AppTest

from tests.ui.acting import ended
from tests.ui.conftest import Open
from tests.ui.reading import button, read
from tests.ui.stand_in import Refusal, StandIn


def measure(app: AppTest, amount: int = 12) -> AppTest:
    app.number_input(key="load_requests").set_value(amount).run()
    return ended(button(app, "Measure").click().run(), "load")


def test_a_measurement_has_figures_of_both(open_page: Open, stand_in: StandIn) -> None:
    app = measure(open_page("latency"))
    words = read(app)
    assert "At the median:" in words
    table = app.dataframe[0].value
    assert table["backend"].tolist() == ["PyTorch", "ONNX Runtime"]
    assert table["requests"].tolist() == [12, 12]
    assert table["errors"].tolist() == [0, 0]
    assert (table["throughput"] > 0).all()
    assert stand_in.asked["/onnx/infer"] == 13
    app.segmented_control(key="load_basis").set_value("Server time").run()
    assert app.dataframe[0].value["p50"].tolist() == [7.5, 3.0]
    assert "At the median: ONNX answered in 40 % of PyTorch's time." in read(app)
    assert [b.label for b in app.download_button] == ["Download CSV"]


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


def test_progress_can_be_cancelled(open_page: Open) -> None:
    app = open_page("latency")
    app.number_input(key="load_requests").set_value(1000).run()
    button(app, "Measure").click().run()
    button(app, "Cancel").click().run()
    assert "Cancelled" in read(ended(app, "load"))
