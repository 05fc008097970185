"""The Datasets page, against a real HTTP server."""

import json

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


def sent(stand_in: StandIn) -> list[str]:
    bodies = [body for _, path, _, body in stand_in.requests if path == "/onnx/stream"]
    return [json.loads(line)["input"] for body in bodies for line in body.splitlines()]


def test_what_is_chosen_with_the_click_is_what_is_scored(
    open_page: Open, stand_in: StandIn
) -> None:
    app = upload(open_page("datasets"))
    app.selectbox[0].set_value("label")
    app.selectbox[1].set_value("review")
    words = read(ended(start(app), "scoring"))
    assert sent(stand_in) == ["1", "0", "0"]
    assert "Text column: label; labels: review" in words


def test_a_file_with_other_columns_has_other_choices(open_page: Open, stand_in: StandIn) -> None:
    app = upload(open_page("datasets"))
    app.selectbox[0].set_value("label").run()
    app.selectbox[1].set_value("None").run()
    upload(app, b"class,other,content\n1,x,fine\n", "b.csv")
    assert [s.value for s in app.selectbox] == ["content", "class"]
    ended(start(app), "scoring")
    assert sent(stand_in) == ["fine"]


def test_results_stay_while_the_service_does_not_tell_about_itself(
    open_page: Open, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_UI_INFO_TTL_S", "0.000001")
    app = ended(start(upload(open_page("datasets"))), "scoring")
    stand_in.refuse["/info"] = Refusal(503)
    words = read(app.run())
    assert "The service is busy" in words
    assert "PyTorch: 3 of 3 rows in" in words
    assert app.download_button


def test_a_file_is_still_there_after_a_look_at_another_page(open_page: Open) -> None:
    app = upload(open_page("datasets"))
    app.switch_page("views/compare.py").run()
    words = read(app.switch_page("views/datasets.py").run())
    assert "reviews.csv is still here from before." in words
    assert "reviews.csv" in app.code[0].value
    assert "PyTorch: 3 of 3 rows in" in read(ended(start(app), "scoring"))


def test_a_file_that_is_taken_away_is_forgotten(open_page: Open) -> None:
    app = upload(open_page("datasets"))
    app.file_uploader(key="file").set_value(None).run()
    assert not app.selectbox


def test_a_file_is_read_once(open_page: Open) -> None:
    for content in (FILE, b"text\n"):
        app = upload(open_page("datasets"), content)
        first = app.session_state["upload"]
        assert app.run().session_state["upload"] is first


def test_results_are_computed_once(open_page: Open) -> None:
    app = ended(start(upload(open_page("datasets"))), "scoring")
    first = app.session_state["scoring"].results
    assert first is not None
    assert "Accuracy: 66.7 %" in read(app.run())
    assert app.session_state["scoring"].results is first


def test_a_semicolon_file_is_said_to_be_one_and_gives_way_to_new_columns(open_page: Open) -> None:
    app = upload(open_page("datasets"), b"text;onnx_label\nA good day;old\n")
    assert "Columns parted by semicolons." in read(app)
    words = read(ended(start(app), "scoring"))
    assert "New columns take the place of the file's own: onnx_label." in words


def test_two_that_share_a_machine_are_not_compared_by_speed(
    open_page: Open, stand_in: StandIn
) -> None:
    stand_in.refuse_first["/onnx/stream"] = 1, Refusal(429, headers={"Retry-After": "0.3"})
    words = read(ended(start(upload(open_page("datasets"))), "scoring"))
    assert "not a comparison of speed" in words
    assert "of it waiting" in words
