import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from tests.ui.stand_in import CUT, Refusal, StandIn
from ui import errors, wire
from ui.answers import Scored, Summary, Timing
from ui.client import Client
from ui.settings import Settings


def problem(status: int, detail: str, **more: str) -> Refusal:
    return Refusal(
        status,
        {"type": "about:blank", "title": "No", "status": status, "detail": detail, **more},
        {"Content-Type": "application/problem+json", "X-Request-Id": "r-7"},
    )


def test_infer_gives_the_label_and_what_the_headers_say(client: Client) -> None:
    answer = client.infer("onnx", "A good day")
    assert (answer.best.label, answer.best.score) == ("POSITIVE", 0.9)
    assert answer.timing == Timing(queue=0.5, tokenize=0.3, inference=2.0, total=3.0)
    assert answer.timing.other == pytest.approx(0.2)
    assert answer.batch_size == 1
    assert answer.round_trip > 0
    assert not answer.complete


def test_classify_gives_all_classes_best_first(client: Client, stand_in: StandIn) -> None:
    answer = client.classify("transformers", "A dull day", classes=2)
    assert [(s.label, s.score) for s in answer.scores] == [("NEGATIVE", 0.8), ("POSITIVE", 0.2)]
    assert answer.complete
    assert json.loads(stand_in.requests[-1][3])["parameters"] == {"top_k": 2}


def test_classify_without_the_hugging_face_route_gives_the_best_label(
    client: Client, stand_in: StandIn
) -> None:
    stand_in.without = {"/onnx"}
    for _ in range(3):
        assert client.classify("onnx", "A good day", classes=2).best.label == "POSITIVE"
    assert stand_in.asked["/onnx"] == 1, "a route that is not there is not asked again at once"
    assert stand_in.asked["/onnx/infer"] == 3


def test_the_key_goes_with_every_request(stand_in: StandIn) -> None:
    client = Client(Settings(api_url=stand_in.url, api_key="secret"))
    client.info()
    assert stand_in.requests[-1][2]["Authorization"] == "Bearer secret"
    client.close()


def test_the_environment_of_the_page_gives_no_credentials(
    settings: Settings, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client = Client(settings)
    client.info()
    assert "Authorization" not in stand_in.requests[-1][2]
    client.close()


def test_connections_are_kept(client: Client) -> None:
    client.info()
    client.info()
    pool = next(iter(client._session.adapters["http://"].poolmanager.pools._container.values()))  # type: ignore[attr-defined]
    assert pool.num_connections == 1
    assert pool.num_requests == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidError),
        (401, errors.UnauthorizedError),
        (403, errors.ForbiddenError),
        (404, errors.NotThereError),
        (405, errors.NotThereError),
        (413, errors.TooLargeError),
        (415, errors.InvalidError),
        (422, errors.InvalidError),
        (429, errors.OverQuotaError),
        (503, errors.OverloadedError),
        (504, errors.TimedOutError),
        (500, errors.ServiceError),
    ],
)
def test_a_refusal_is_a_typed_error(
    client: Client, stand_in: StandIn, status: int, kind: type[errors.ServiceError]
) -> None:
    stand_in.refuse["/onnx/infer"] = problem(status, "Because.", field="input")
    with pytest.raises(errors.ServiceError) as caught:
        client.infer("onnx", "x")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.detail, error.field) == (status, "Because.", "input")
    assert error.request_id == "r-7"
    assert error.sentence.endswith(".")
    assert error.remedy.endswith(".")


def test_the_protocols_own_errors_are_read_too(client: Client, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx"] = Refusal(422, {"error": "inputs must not be empty"})
    with pytest.raises(errors.InvalidError) as caught:
        client.classify("onnx", "x", classes=2)
    assert caught.value.detail == "inputs must not be empty"


def test_a_refusal_that_is_no_json_is_an_error_all_the_same(
    client: Client, stand_in: StandIn
) -> None:
    stand_in.refuse["/info"] = Refusal(503, b"<html>busy</html>")
    with pytest.raises(errors.OverloadedError) as caught:
        client.info()
    assert caught.value.detail is None


@pytest.mark.parametrize("body", [b"not json", {}, [], [{"label": "X"}], [[]], None])
def test_an_answer_of_another_shape_is_an_error(
    client: Client, stand_in: StandIn, body: object
) -> None:
    stand_in.refuse["/onnx/infer"] = Refusal(200, body)
    with pytest.raises(errors.ServiceError):
        client.infer("onnx", "x")


def test_retry_after_is_seconds_or_a_date(client: Client, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx/infer"] = Refusal(429, {}, {"Retry-After": "12"})
    with pytest.raises(errors.OverQuotaError) as caught:
        client.infer("onnx", "x")
    assert caught.value.retry_after == 12
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert errors.retry_after("Thu, 01 Jan 2026 00:00:30 GMT", now) == 30
    assert errors.retry_after("Wed, 31 Dec 2025 00:00:00 GMT", now) == 0
    assert errors.retry_after("soon") is None
    assert errors.retry_after("inf") == errors.LONGEST_WAIT_S
    assert errors.retry_after("Fri, 31 Dec 9999 23:59:59 GMT", now) == errors.LONGEST_WAIT_S
    assert errors.retry_after(None) is None


def test_a_service_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = Client(Settings(api_url=f"http://127.0.0.1:{taken.getsockname()[1]}"))
        with pytest.raises(errors.UnreachableError):
            client.info()
        client.close()


def test_a_service_that_takes_too_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = Client(Settings(api_url=url, timeout_s=0.1))
        with pytest.raises(errors.TimedOutError):
            client.info()
        client.close()


def test_a_kept_connection_that_was_closed_is_tried_anew(
    client: Client, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from urllib3.exceptions import ProtocolError

    send, dropped = client._session.request, [True]

    def once_dropped(*args: object, **options: object) -> requests.Response:
        if dropped.pop() if dropped else False:
            raise requests.ConnectionError(ProtocolError("Connection aborted."))
        return send(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(client._session, "request", once_dropped)
    assert client.infer("onnx", "good").best.label == "POSITIVE"


def test_info_and_cluster_are_typed_and_take_what_they_do_not_know(
    client: Client, stand_in: StandIn
) -> None:
    stand_in.info["news"] = {"of": "tomorrow"}
    info = client.info()
    assert info.model.labels == ("NEGATIVE", "POSITIVE")
    assert info.backend("onnx").precision == "int8"
    found = client.cluster().deployments["onnx"]
    assert (found.running, found.target, len(found.replicas)) == (3, 4, 3)
    assert found.replicas[0].certificate is not None


def test_ready_names_the_backend_that_is_missing(client: Client, stand_in: StandIn) -> None:
    assert client.ready().ready
    stand_in.ready = (
        503,
        {"status": "unavailable", "backends": {"transformers": "ready", "onnx": "unavailable"}},
    )
    assert client.ready().missing == ("onnx",)
    stand_in.refuse["/ready"] = Refusal(503, b"no json")
    assert not client.ready().ready


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_service_in_the_middle_of_starting_is_told_from_a_broken_one(
    client: Client, stand_in: StandIn, status: int
) -> None:
    error = errors.ServiceError(status=status)
    assert client.diagnose(error) is error
    stand_in.ready = (503, {"backends": {"onnx": "unavailable"}})
    found = client.diagnose(error)
    assert isinstance(found, errors.StartingError)
    assert "onnx" in found.sentence
    assert "SENTIMENT_UI_API_URL" in found.remedy  # whatever is there may be no service at all


def test_an_address_that_redirects_is_named(client: Client, stand_in: StandIn) -> None:
    moved = Refusal(301, b"", {"Location": "https://api.example.org/info"})
    stand_in.refuse.update({"/info": moved, "/onnx/stream": moved})
    for ask in (client.info, lambda: list(client.stream("onnx", [(0, "good")]))):
        with pytest.raises(errors.ServiceError, match=r"redirects to https://api\.example\.org"):
            ask()


def test_an_address_without_tls_and_a_certificate_nobody_trusts(stand_in: StandIn) -> None:
    client = Client(Settings(api_url=stand_in.url.replace("http:", "https:")))
    with pytest.raises(errors.ServiceError, match="no secure connection") as caught:
        client.info()
    assert "SENTIMENT_UI_CA_FILE" in caught.value.remedy
    assert not caught.value.passing
    client.close()


def test_another_server_is_taken_for_one(client: Client, stand_in: StandIn) -> None:
    stand_in.refuse["/info"] = Refusal(200, b"<html>Welcome</html>")
    with pytest.raises(errors.ServiceError) as caught:
        client.info()
    assert "SENTIMENT_UI_API_URL is another server's" in caught.value.remedy


def test_an_answer_that_breaks_off_is_told_as_that(client: Client, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx/infer"] = Refusal(200, b"[{", CUT)
    with pytest.raises(errors.UnreachableError, match="broke off"):
        client.infer("onnx", "good")


def test_a_stream_yields_rows_and_says_what_was_wrong_with_one(client: Client) -> None:
    *rows, summary = client.stream("onnx", [(5, "good"), (6, " "), (7, "é \ud83d\ude00")])
    assert rows == [
        Scored(5, "POSITIVE", 0.9),
        Scored(6, error="input: empty text"),
        Scored(7, "NEGATIVE", 0.8),
    ]
    assert summary == Summary(truncated=1)


def test_a_stream_that_ends_early_says_how_much_was_cut_and_why(client: Client) -> None:
    refused = {
        "error": {"status": 429, "detail": "60 texts a minute."},
        "summary": {"truncated": 2},
    }
    summary = wire.scored(json.dumps(refused).encode())
    assert isinstance(summary, Summary)
    assert summary.truncated == 2
    assert isinstance(summary.error, errors.OverQuotaError)


def test_a_stream_that_breaks_off_gives_what_came_before(client: Client, stand_in: StandIn) -> None:
    stand_in.break_after = 2
    rows = client.stream("onnx", [(n, "good") for n in range(4)])
    assert [next(rows), next(rows)] == [Scored(n, "POSITIVE", 0.9) for n in (0, 1)]
    with pytest.raises(errors.ServiceError):
        next(rows)


@pytest.mark.parametrize(
    ("header", "timing"),
    [
        (None, None),
        ("", None),
        ("cache", None),
        ("total;dur=4", Timing(total=4.0)),
        ('queue;desc="a wait";dur=1.5,total;dur=2', Timing(queue=1.5, total=2.0)),
        ("inference;dur=3;desc=x, other", Timing(inference=3.0)),
        ("total;dur=1.2.3", None),
    ],
)
def test_server_timing_is_read(header: str | None, timing: Timing | None) -> None:
    assert Timing.parse(header) == timing


def test_time_without_a_total_is_the_sum_of_its_parts() -> None:
    assert Timing(queue=1, tokenize=2, inference=3).server == 6
    assert Timing(queue=1, total=0.5).other == 0
