"""The page's client against the service's own routes: what one says the other understands."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from tests.api.world import World
from ui import errors
from ui.answers import BACKENDS, Backend, Scored, Summary
from ui.client import Client
from ui.settings import Settings


@pytest.fixture(scope="module")
def world() -> World:
    return World(max_texts=4, max_body_bytes=5_000)


@pytest.fixture(scope="module")
def api(world: World) -> Iterator[Client]:
    with served(world) as client:
        yield client


@contextmanager
def served(world: World) -> Iterator[Client]:
    """The service's app behind a real server on a free port."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(world.app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    client = Client(Settings(api_url=f"http://127.0.0.1:{listening.getsockname()[1]}"))
    try:
        yield client
    finally:
        client.close()
        server.should_exit = True
        thread.join(10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_text(api: Client, world: World, backend: Backend) -> None:
    answer = api.infer(backend, "A fine film")
    assert answer.best.label == "POSITIVE"
    assert answer.best.score == pytest.approx(world.score("A fine film"), abs=1e-6)
    assert answer.timing is not None
    assert answer.timing.total is not None
    assert answer.timing.tokenize == pytest.approx(0.1)
    assert answer.batch_size == 1
    assert answer.round_trip >= answer.timing.server


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_classes(api: Client, backend: Backend) -> None:
    answer = api.classify(backend, "A fine film", classes=2)
    assert answer.complete
    assert [s.label for s in answer.scores] == ["POSITIVE", "NEGATIVE"]
    assert sum(s.score for s in answer.scores) == pytest.approx(1)
    assert answer.timing is not None


def test_what_is_served(api: Client) -> None:
    info = api.info()
    assert info.model.id == "arithmetic"
    assert info.model.labels == ("NEGATIVE", "POSITIVE")
    assert info.model.problem_type == "single_label_classification"
    assert info.limits.max_texts == 4
    assert set(info.backends) == set(BACKENDS)
    assert api.ready().ready
    assert api.cluster().deployments == {}


def scored(api: Client, texts: list[tuple[int, str]]) -> list[Scored]:
    *rows, summary = api.stream("onnx", texts)
    assert summary == Summary(truncated=0)
    return [row for row in rows if isinstance(row, Scored)]


def test_rows_in_their_order(api: Client, world: World) -> None:
    texts = [(number, "x" * (number % 7 + 1)) for number in range(3, 300)]
    rows = scored(api, texts)
    assert [row.id for row in rows] == [number for number, _ in texts]
    assert rows[0].score == pytest.approx(world.score("x" * 4), abs=1e-6)


def test_a_row_that_is_no_text(api: Client) -> None:
    first, second, third = scored(api, [(0, "good"), (1, "  "), (2, "good")])
    assert second.error
    assert (first.error, third.error) == (None, None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", errors.InvalidError),
        ("\ud800", errors.InvalidError),
        ("x" * 6_000, errors.TooLargeError),
    ],
)
def test_refusals(api: Client, text: str, kind: type[errors.ServiceError]) -> None:
    for ask in (api.infer, lambda backend, text: api.classify(backend, text, 2)):
        with pytest.raises(kind) as caught:
            ask("onnx", text)
        assert caught.value.detail


def test_why_a_stream_ends_early_is_what_the_page_is_told() -> None:
    rows = [(number, "A fine film") for number in range(200)]
    with served(World(quota="100/hour")) as api, pytest.raises(errors.OverQuotaError) as refused:
        list(api.stream("onnx", rows))
    assert refused.value.retry_after is not None
    assert "quota" in str(refused.value.detail)
