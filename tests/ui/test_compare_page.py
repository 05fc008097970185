"""The Compare page, against a real HTTP server."""

import time
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.acting import compare
from tests.ui.conftest import Open
from tests.ui.reading import button, read
from tests.ui.stand_in import Refusal, StandIn


def test_a_text_is_compared(open_page: Open) -> None:
    words = read(compare(open_page(), "A good day"))
    assert "Label: The same" in words
    assert "ONNX's server time, of PyTorch's: 40 %" in words
    assert "ONNX answered in 40 % of PyTorch's time." in words
    assert "PyTorch with fp32, 1 thread; ONNX with int8, 1 thread" in words
    assert "Server time: 7.5 ms" in words
    assert "Queue 0.5 ms, tokenize 0.3 ms, inference 2.0 ms; the way there and back" in words
    assert "One request says little; the Latency page measures." in words
    assert words.count("90.0 %") == 2


def test_both_backends_are_asked_once(open_page: Open, stand_in: StandIn) -> None:
    app = compare(open_page(), "A good day")
    app.run()
    asked = {path: n for path, n in stand_in.asked.items() if path not in {"/info", "/ready"}}
    assert asked == {"/transformers": 1, "/onnx": 1}


def test_an_address_with_a_text_compares_it_by_itself(open_page: Open, stand_in: StandIn) -> None:
    app = open_page(text="A dull day")
    assert app.text_area(key="text").value == "A dull day"
    assert "Label: The same" in read(app)
    app.run()
    assert stand_in.asked["/onnx"] == 1, "only once"


def test_the_address_follows_the_text(open_page: Open) -> None:
    app = compare(open_page(text="A dull day"), "A good & fine day?")
    assert app.query_params["text"] == "A good & fine day?"
    assert "text" not in compare(app, "word " * 2000).query_params


def test_an_example_is_compared_at_once(open_page: Open) -> None:
    app = open_page()
    app.pills(key="example").set_value("A charming and often affecting journey.").run()
    assert app.text_area(key="text").value == "A charming and often affecting journey."
    assert "Positive" in read(app)


@pytest.mark.parametrize("text", ["", "  \n "])
def test_no_text_is_no_error(open_page: Open, stand_in: StandIn, text: str) -> None:
    assert "There is no text yet." in read(compare(open_page(), text))
    assert stand_in.asked["/onnx"] == 0


def test_markdown_in_labels_and_messages_stays_text(open_page: Open, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx"] = Refusal(422, {"detail": "**bold** [link](http://x)"})
    app = compare(open_page(), "A good day")
    assert not app.exception
    assert r"\*\*bold\*\*" in app.error[0].value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threads": 2}, "No ratio: PyTorch has 1 and ONNX 2 threads for a request"),
        ({"cpus": 2.0}, "No ratio: PyTorch has 1 and ONNX 2 CPUs"),
        ({"threads": None}, "No ratio: the service does not say how many threads"),
    ],
)
def test_no_ratio_where_budgets_differ(
    open_page: Open, stand_in: StandIn, change: dict[str, Any], words: str
) -> None:
    stand_in.info["backends"]["onnx"].update(change)
    found = read(compare(open_page(), "A good day"))
    assert words in found.replace("**", "")
    assert "ONNX's server time, of PyTorch's: n/a" in found
    assert "answered in" not in found


def test_a_service_that_gives_one_label_only(open_page: Open, stand_in: StandIn) -> None:
    stand_in.without = {"/onnx", "/transformers"}
    assert "Label: The same" in read(compare(open_page(), "A good day"))


def test_a_model_of_many_classes(open_page: Open, stand_in: StandIn) -> None:
    stand_in.info["model"]["labels"] = [f"C_{n}" for n in range(28)]
    assert "Label: The same" in read(compare(open_page(), "A good day"))


def test_the_history_grows_sorts_downloads_and_clears(open_page: Open) -> None:
    app = open_page()
    for text in ("B good", "A dull", "C good"):
        compare(app, text)
    assert "3 compared, 3 with the same label" in read(app)
    assert "server time of 3 in all: PyTorch 22.5 ms, ONNX 9.0 ms." in read(app)
    assert "are kept" not in read(app)
    assert app.dataframe[0].value["text"].tolist() == ["C good", "A dull", "B good"]
    app.selectbox(key="order").set_value("Text, A to Z").run()
    assert app.dataframe[0].value["text"].tolist() == ["A dull", "B good", "C good"]
    assert [b.label for b in app.download_button] == ["Download CSV"]
    button(app, "Clear").click().run()
    assert not app.dataframe


def test_the_history_has_a_limit(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_UI_HISTORY_ROWS", "2")
    app = open_page()
    for text in ("one", "two", "three"):
        compare(app, text)
    assert app.dataframe[0].value["text"].tolist() == ["three", "two"]
    assert "Only the newest 2 are kept" in read(app)


def heads(app: AppTest) -> list[str]:
    """The text that a result is shown as being of."""
    return [m.value[2:-2] for m in app.markdown if m.value.startswith("**A")]


def test_a_result_is_headed_by_its_text(open_page: Open) -> None:
    app = compare(open_page(), "A good\n\n# *day*")
    assert heads(app) == [r"A good \# \*day\*"]
    assert heads(compare(app, " ")) == [r"A good \# \*day\*"], "nothing else was asked"
    assert heads(compare(app, "A" * 300)) == ["A" * 200 + "…"]


def test_what_is_chosen_during_a_wait_is_asked_after_it(open_page: Open, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx"] = Refusal(429, {}, {"Retry-After": "30"})
    app = compare(open_page(), "A good day")
    example = "A charming and often affecting journey."
    app.pills(key="example").set_value(example).run()
    assert heads(app) == ["A good day"]
    assert stand_in.asked["/onnx"] == 1
    stand_in.refuse.clear()
    app.session_state["compare_until"] = time.monotonic() - 1
    app.run()
    assert heads(app) == [example.replace(".", r"\.")]
    assert stand_in.asked["/onnx"] == 2


def test_a_result_keeps_what_it_was_answered_with(
    open_page: Open, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_UI_INFO_TTL_S", "0.001")
    app = compare(open_page(), "A good day")
    stand_in.info["backends"]["onnx"].update(precision="fp32", threads=2)
    words = read(app.run())
    assert "ONNX Runtime: fp32, 2 threads" in words, "what is served now"
    assert "PyTorch with fp32, 1 thread; ONNX with int8, 1 thread" in words


def test_what_was_compared_is_still_there_after_another_page(open_page: Open) -> None:
    app = compare(open_page(), "A good day")
    app.switch_page("views/cluster.py").run()
    app.switch_page("views/compare.py").run()
    assert app.text_area(key="text").value == "A good day"
    assert len(app.dataframe[0].value) == 1
