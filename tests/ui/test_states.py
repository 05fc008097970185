"""What a page says when the service cannot do its part, on every page and for every refusal."""

import socket
import time

import pytest

from tests.ui.acting import VIEWS, compare
from tests.ui.conftest import Open
from tests.ui.reading import button, read
from tests.ui.stand_in import Refusal, StandIn
from ui import states
from ui.errors import InvalidError, OverQuotaError


@pytest.mark.parametrize("view", VIEWS)
def test_the_service_is_down_and_comes_back(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn, view: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("SENTIMENT_UI_API_URL", url)
        app = open_page(view)
        words = read(app)
        assert "The service does not answer." in words
        assert "SENTIMENT_UI_API_URL" in words
        monkeypatch.setenv("SENTIMENT_UI_API_URL", stand_in.url)
        button(app, "Look again").click().run()
        assert "does not answer" not in read(app)


@pytest.mark.parametrize("status", [404, 500, 503])
@pytest.mark.parametrize("view", VIEWS)
def test_the_service_is_starting(
    open_page: Open, stand_in: StandIn, view: str, status: int
) -> None:
    stand_in.refuse["/info"] = Refusal(status)
    stand_in.ready = (503, {"backends": {"transformers": "ready", "onnx": "unavailable"}})
    words = read(open_page(view))
    assert "The service is starting: onnx is not ready yet." in words
    assert "looks again by itself" in words


def test_what_is_shown_once_does_not_promise_to_look_again(
    open_page: Open, stand_in: StandIn
) -> None:
    app = open_page()
    stand_in.refuse["/onnx"] = Refusal(503)
    stand_in.ready = (503, {"backends": {"transformers": "ready", "onnx": "unavailable"}})
    assert "looks again by itself" not in read(compare(app, "A good day"))


def test_a_service_whose_backends_all_answer_is_not_starting(
    open_page: Open, stand_in: StandIn
) -> None:
    app = open_page()
    stand_in.refuse["/onnx"] = Refusal(503, {"detail": "The quota cannot be counted now."})
    stand_in.ready = (503, {"backends": {"transformers": "ready", "onnx": "ready"}})
    words = read(compare(app, "A good day"))
    assert "The quota cannot be counted now." in words
    assert "starting" not in words


def test_one_backend_is_still_starting(open_page: Open, stand_in: StandIn) -> None:
    app = open_page()
    stand_in.refuse["/onnx"] = Refusal(503, {"detail": "no replica"}, {"Retry-After": "3"})
    stand_in.ready = (503, {"backends": {"transformers": "ready", "onnx": "unavailable"}})
    words = read(compare(app, "A good day"))
    assert "The service is starting: onnx is not ready yet." in words
    assert "Server time: 7.5 ms" in words, "the other backend's answer is shown"


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_has_no_key(open_page: Open, stand_in: StandIn, view: str) -> None:
    stand_in.refuse["/info"] = Refusal(401, {"title": "Unauthorized", "detail": "no key"})
    words = read(open_page(view))
    assert "its API key is missing or wrong" in words
    assert "SENTIMENT_UI_API_KEY" in words


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "its API key is missing or wrong"),
        (403, "not allowed to do that"),
        (413, "more than the service takes in one request"),
        (422, "cannot take this input"),
        (504, "took too long"),
        (500, "an answer the page does not understand"),
    ],
)
def test_a_refusal_is_a_sentence(
    open_page: Open, stand_in: StandIn, status: int, sentence: str
) -> None:
    body = {"title": "No", "detail": "Told so.", "field": "input"}
    stand_in.refuse["/onnx"] = Refusal(status, body, {"X-Request-Id": "r-9"})
    words = read(compare(open_page(), "A good day"))
    assert sentence in words
    assert "Told so. (field `input`)" in words
    assert "r-9" in words
    assert "Server time: 7.5 ms" in words, "the other backend's answer is shown"


@pytest.mark.parametrize(
    ("status", "sentence"), [(429, "used up its quota"), (503, "busy and took no more work")]
)
def test_a_refusal_that_passes_counts_down(
    open_page: Open, stand_in: StandIn, status: int, sentence: str
) -> None:
    for backend in ("onnx", "transformers"):
        stand_in.refuse[f"/{backend}"] = Refusal(status, {}, {"Retry-After": "30"})
    app = compare(open_page(), "A good day")
    assert sentence in read(app)
    assert "You can ask again in" in app.get("progress")[0].proto.text
    assert button(app, "Compare").disabled
    stand_in.refuse.clear()
    app.session_state["compare_until"] = time.monotonic() - 1
    app.run()
    assert not app.get("progress")
    assert "Label: The same" in read(compare(app, "A good day"))


def test_a_wait_without_an_end_has_one(open_page: Open, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx"] = Refusal(429, {}, {"Retry-After": "inf"})
    app = compare(open_page(), "A good day")
    assert not app.exception
    assert "You can ask again in 24 h 00 min." in app.get("progress")[0].proto.text


def test_what_the_service_says_is_told_with_its_field() -> None:
    told = states.told(InvalidError(detail="Too *long*.", field="input`", request_id="r"))
    assert r"Too \*long\*\." in told
    assert "`input`" in told
    assert "`r`" in told


def test_a_passing_refusal_needs_no_request_id() -> None:
    assert "r-1" not in states.told(OverQuotaError(request_id="r-1"))
