"""The Datasets page, against a real HTTP server."""

import pytest

from tests.ui.acting import FILE, ended, start, upload
from tests.ui.conftest import Open
from tests.ui.reading import read
from tests.ui.stand_in import Refusal, StandIn


def test_a_file_is_scored(open_page: Open) -> None:
    app = upload(open_page("datasets"))
    assert [s.value for s in app.selectbox] == ["review", "label"]
    words = read(ended(start(app), "scoring"))
    assert "PyTorch: 3 of 3 rows in" in words
    assert "Same label: 100.00 %" in words
    assert "Accuracy: 66.7 %" in words
    scored = app.dataframe[-1].value
    assert sorted(scored["onnx_label"]) == ["NEGATIVE", "POSITIVE", "POSITIVE"]
    assert [b.label for b in app.download_button] == ["Download the scored file"]


def test_one_backend_and_no_labels(open_page: Open, stand_in: StandIn) -> None:
    app = upload(open_page("datasets"))
    app.selectbox[1].set_value("None").run()
    app.pills[0].set_value(["onnx"]).run()
    words = read(ended(start(app), "scoring"))
    assert "Accuracy" not in words
    assert "transformers_label" not in app.dataframe[-1].value
    assert stand_in.asked["/transformers/stream"] == 0


def test_labels_that_are_not_the_models(open_page: Open) -> None:
    app = upload(open_page("datasets"), FILE.replace(b"1", b"yes").replace(b"0", b"no"))
    words = read(ended(start(app), "scoring"))
    assert "The file's labels are not the model's." in words
    assert "NEGATIVE, POSITIVE" in words


def test_a_service_without_streams_is_said_plainly(open_page: Open, stand_in: StandIn) -> None:
    stand_in.without = {"/onnx/stream", "/transformers/stream"}
    words = read(ended(start(upload(open_page("datasets"))), "scoring"))
    assert "this service does not score files yet" in words


def test_what_was_scored_before_an_error_is_shown(
    open_page: Open, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_UI_ROWS_PER_REQUEST", "2")
    stand_in.refuse_later["/onnx/stream"] = (1, Refusal(403, {"detail": "No."}))
    app = ended(start(upload(open_page("datasets"))), "scoring")
    words = read(app)
    assert "ONNX Runtime ended after 2 of 3 rows" in words
    assert "not allowed" in words
    assert app.dataframe[-1].value["onnx_label"].notna().sum() == 2
    assert app.download_button


def test_a_file_that_does_not_read_is_said_plainly(open_page: Open) -> None:
    assert "The file has no rows." in read(upload(open_page("datasets"), b"text\n"))


def test_the_curl_line_is_for_the_file_at_hand(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_UI_PUBLIC_API_URL", "https://api.example.org")
    monkeypatch.setenv("SENTIMENT_UI_API_KEY", "secret")
    app = upload(open_page("datasets"))
    line = app.code[0].value
    assert "-T reviews.csv" in line
    assert "https://api.example.org/onnx/stream?text_column=review" in line
    assert "secret" not in line
