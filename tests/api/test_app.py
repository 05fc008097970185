"""What holds for every path: CORS, and errors that nobody expected."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from serve_app.api import shedding
from serve_app.api.gateway import ARRIVING
from serve_app.dispatcher import BackendError
from serve_app.lane import Dropped
from serve_app.messages import Call, Reply
from serve_app.serve_config import load
from serve_app.settings import Settings
from serve_app.telemetry import INFERENCE, QUEUE, REFUSED, REQUESTS, SHADOWED, TEXTS, TOKENIZE
from tests.api.asking import client
from tests.api.log import logged
from tests.api.world import World

PAGE = "https://page.example"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
PROTOCOLS: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "/onnx/infer": lambda texts: {"input": texts},
    "/onnx": lambda texts: {"inputs": texts},
    "/v2/models/onnx/infer": lambda texts: {
        "inputs": [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}]
    },
}


async def test_browsers_of_the_named_origins_may_call() -> None:
    world = World(cors_origins="https://page.example, https://other.example")
    async with client(world.app) as http:
        asked = await http.options(
            "/onnx",
            headers={**PREFLIGHT, "Access-Control-Request-Headers": "authorization,content-type"},
        )
        answer = await http.post("/onnx", json={"inputs": "a"}, headers={"Origin": PAGE})
        refused = await http.post("/onnx", json={}, headers={"Origin": PAGE})
        stranger = await http.options("/onnx", headers={**PREFLIGHT, "Origin": "https://x.example"})
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == PAGE
    for given in (answer, refused):  # a page must be able to read why it was refused
        assert given.headers["access-control-allow-origin"] == PAGE
        assert "X-Backend" in given.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in stranger.headers


async def test_a_page_may_send_what_the_javascript_client_and_tracers_set() -> None:
    async with client(World(cors_origins=PAGE).app) as http:
        asked = await http.options(
            "/onnx",
            headers={
                **PREFLIGHT,
                "Access-Control-Request-Headers": "content-type,user-agent,traceparent,tracestate",
            },
        )
    assert asked.status_code == 200


async def test_without_the_setting_there_is_no_cors() -> None:
    async with client(World().app) as http:
        asked = await http.options("/onnx", headers=PREFLIGHT)
        answer = await http.post("/onnx", json={"inputs": "a"}, headers={"Origin": PAGE})
    assert asked.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


async def test_a_page_may_read_the_answer_to_a_fault_of_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(cors_origins=PAGE)

    async def fails(*_: object) -> None:
        raise RuntimeError("nobody expected it")

    monkeypatch.setattr(world.gateway.dispatchers["onnx"], "infer", fails)
    async with client(world.app) as http:
        answer = await http.post("/onnx/infer", json={"input": "a"}, headers={"Origin": PAGE})
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("path", "status"), [("/health", 200), ("/ready", 200), ("/v2", 200), ("/onnx/infer", 405)]
)
async def test_head_is_get_without_the_body(path: str, status: int) -> None:
    async with client(World().app) as http:
        answer = await http.head(path)
    assert (answer.status_code, answer.content) == (status, b"")
    assert int(answer.headers["content-length"]) > 0


async def test_a_long_name_is_not_sent_back_whole() -> None:
    async with client(World().app) as http:
        answer = await http.post("/onnx/infer", json={"\x7f" * 100_000: 1})
    assert answer.status_code == 422
    assert len(answer.content) < 2000


async def test_all_origins() -> None:
    async with client(World(cors_origins="*").app) as http:
        answer = await http.post("/onnx", json={"inputs": "a"}, headers={"Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/onnx/infer", {"type", "title", "status", "detail"}),
        ("/onnx", {"error"}),
        ("/v2/models/onnx/infer", {"error"}),
    ],
)
async def test_what_nobody_expected_is_told_in_the_paths_own_shape(
    path: str, fields: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()

    async def broken(*_: Any, **__: Any) -> None:
        raise AssertionError("secret")

    for dispatcher in world.gateway.dispatchers.values():
        monkeypatch.setattr(dispatcher, "infer", broken)
    async with client(world.app) as http:
        answer = await http.post(path, json=PROTOCOLS[path](["a"]))
    assert answer.status_code == 500
    assert answer.json().keys() == fields
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/", "/nope", "/onnx/", "/health/", "/bert/infer"])
async def test_an_unknown_path_is_404_and_never_a_redirect(path: str) -> None:
    async with client(World().app) as http:
        answer = await http.post(path, json={})
    assert answer.status_code == 404


async def test_a_parameter_that_is_none_is_a_problem_too() -> None:
    async with client(World().app) as http:
        answer = await http.post(
            "/onnx/stream?offset=x", content=b"", headers={"content-type": "application/x-ndjson"}
        )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == "offset"


async def test_a_parameter_that_is_there_twice_is_refused() -> None:
    async with client(World().app) as http:
        answer = await http.post(
            "/onnx/stream?offset=x&offset=1",
            content=b"",
            headers={"content-type": "application/x-ndjson"},
        )
    assert answer.status_code == 422
    assert answer.json()["field"] == "offset"


async def test_what_a_request_took_and_how_it_ended_is_counted() -> None:
    world = World(quota="3/hour")
    async with client(world.app) as http:
        await http.post("/onnx/infer", json={"input": ["a", "b"]})
        assert (await http.post("/onnx/infer", json={"input": ["a", "b"]})).status_code == 429
    noted = {metric.name for metric, _, _ in world.notes.noted}
    for metric in (QUEUE, TOKENIZE, INFERENCE, REFUSED):
        assert metric.name in noted
    ended = [(tags["status"], tags["kind"]) for tags in world.notes.tags(REQUESTS)]
    assert ended == [("200", "answered"), ("429", "quota-exceeded")]
    assert [value for metric, value, _ in world.notes.noted if metric is TEXTS] == [2]


@pytest.mark.parametrize("path", PROTOCOLS)
async def test_a_queue_with_little_room_tells_haproxy_of_it_with_every_answer(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = PROTOCOLS[path](["x"])
    monkeypatch.setattr(shedding, "ENABLED", True)
    world = World(max_waiting_requests=shedding.SCARCE + 2)
    async with client(world.app) as http:
        world.may_answer.clear()
        asked = [asyncio.create_task(http.post(path, json=body))]
        await world.until(lambda: world.gateway.dispatchers["onnx"].room(30) == shedding.SCARCE + 1)
        assert shedding.ROOM not in (await http.post(path, content=b"{")).headers
        asked += [asyncio.create_task(http.post(path, json=body)) for _ in range(3)]
        await world.until(lambda: world.gateway.dispatchers["onnx"].room(30) == shedding.SCARCE - 2)
        wrong = await http.post(path, content=b"{")
        assert wrong.headers[shedding.ROOM] == f"{shedding.SCARCE - 2}/1"
        other = await http.post(path.replace("onnx", "transformers"), content=b"{")
        assert shedding.ROOM not in other.headers
        world.may_answer.set()
        answers = await asyncio.gather(*asked)
        assert f"{shedding.SCARCE - 1}/1" in {a.headers.get(shedding.ROOM) for a in answers}
        monkeypatch.setattr(shedding, "ENABLED", False)
        assert shedding.ROOM not in (await http.post(path, json=body)).headers


async def test_what_haproxy_refused_is_counted_with_the_next_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shedding, "ENABLED", True)
    world = World()
    async with client(world.app) as http:
        for said in ("0", "41", "-7", "abc", "9" * 300):
            headers = {shedding.SHED: said}
            assert (await http.post("/onnx/infer", json={"input": "x"}, headers=headers)).is_success
    counted = [
        (times, tags["status"]) for what, times, tags in world.notes.noted if what is REQUESTS
    ]
    assert counted == [(1, "200"), (41, "503"), *[(1, "200")] * 4]


async def test_one_that_is_not_answered_in_time_is_in_the_log_by_its_id() -> None:
    world = World(timeout_s=0.01)
    world.may_answer.clear()
    with logged() as lines:
        async with client(world.app) as http:
            headers = {"X-Request-Id": "late-one"}
            answer = await http.post("/onnx/infer", json={"input": "a"}, headers=headers)
    world.may_answer.set()
    assert answer.status_code == 504
    assert lines == ["request late-one: onnx did not answer within 0.01 s"]
    assert [tags["kind"] for tags in world.notes.tags(REQUESTS)] == ["timed-out"]


async def test_a_client_that_hangs_up_is_counted() -> None:
    world = World()
    world.may_answer.clear()
    async with client(world.app) as http:
        asking = asyncio.create_task(http.post("/onnx/infer", json={"input": "a"}))
        await world.until(lambda: world.calls)
        asking.cancel()
        await asyncio.wait([asking])
    statuses = [tags["status"] for tags in world.notes.tags(REQUESTS)]
    assert statuses == ["499"]


async def test_bodies_on_their_way_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.api.gateway.ARRIVING", 4)  # half of them of one client
    world = World()
    begun, may_end = [], asyncio.Event()

    async def slow(body: bytes) -> AsyncIterator[bytes]:
        begun.append(body)
        await may_end.wait()
        yield body

    async with client(world.app) as http:
        body = b'{"input": "a"}'
        asked = [asyncio.create_task(http.post("/onnx/infer", content=slow(body))) for _ in "ab"]
        await world.until(lambda: len(begun) == 2)
        refused = await http.post("/onnx/infer", content=body)
        may_end.set()
        answers = await asyncio.gather(*asked)
        again = await http.post("/onnx/infer", content=body)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert {answer.status_code for answer in (*answers, again)} == {200}


def test_an_ingress_refuses_sooner_than_serve_would_have_requests_wait() -> None:
    (application,) = load()["applications"]
    (most,) = (
        deployment["max_ongoing_requests"]
        for deployment in application["deployments"]
        if deployment["name"] == "Ingress"
    )
    settings = Settings()
    backends = 2
    assert ARRIVING + settings.max_streams + backends * settings.max_waiting_requests < most


async def test_a_fault_that_nobody_expected_gives_the_quota_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(quota="2/hour")

    async def broken(*_: Any, **__: Any) -> None:
        raise AssertionError("secret")

    body = {"input": ["a", "b"]}
    async with client(world.app) as http:
        with monkeypatch.context() as patch:
            patch.setattr(world.gateway.dispatchers["onnx"], "infer", broken)
            assert (await http.post("/onnx/infer", json=body)).status_code == 500
        assert (await http.post("/onnx/infer", json=body)).status_code == 200


@pytest.mark.parametrize("path", PROTOCOLS)
async def test_a_text_that_the_model_fails_on_is_told_and_all_are_given_back(path: str) -> None:
    world, body = World(quota="2/hour"), PROTOCOLS[path]
    async with client(world.app) as http:
        failed = await http.post(path, json=body(["a", "bad"]))
        assert (await http.post(path, json=body(["a", "b"]))).status_code == 200
    assert failed.status_code == 500
    assert failed.json() == (
        {
            "type": "urn:sentiment:problem:model-failed",
            "title": "The model failed on this text",
            "status": 500,
            "detail": "it is odd.",
            "field": "input[1]",
        }
        if path == "/onnx/infer"
        else {"error": "it is odd."}
    )


async def test_of_several_texts_that_the_model_fails_on_the_first_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(texts_per_call=1)
    calls: list[asyncio.Task[Any] | None] = []

    async def call(call: Call, dropped: Dropped) -> Reply:
        calls.append(asyncio.current_task())
        if len(calls) == 1:  # the second text's answer is there before the first's
            await world.until(lambda: len(calls) > 1 and calls[1] and calls[1].done())
        return await World._call(world, call, dropped)

    monkeypatch.setattr(world.gateway.dispatchers["onnx"], "_call", call)
    async with client(world.app) as http:
        failed = await http.post("/onnx/infer", json={"input": ["bad", "bad"]})
    assert failed.json()["field"] == "input[0]"


@pytest.mark.parametrize("path", PROTOCOLS)
async def test_a_model_that_is_away_is_not_ready(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()

    async def away(*_: object) -> None:
        raise BackendError("gone")

    monkeypatch.setattr(world.gateway.dispatchers["onnx"], "_call", away)
    async with client(world.app) as http:
        answer = await http.post(path, json=PROTOCOLS[path](["a"]))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    said = answer.json()
    assert said.get("detail", said.get("error")) == "No replica of onnx could answer: gone."
    if path == "/onnx/infer":
        assert said["type"] == "urn:sentiment:problem:not-ready"


async def test_a_share_of_the_requests_is_asked_of_the_other_twin_too() -> None:
    world = World(share=1.0)
    async with client(world.app) as http:
        answer = await http.post("/onnx/infer", json={"input": ["a", "b"]})
        assert answer.headers["x-backend"] == "onnx"
        await world.until(lambda: (SHADOWED, 2, {"agrees": "yes"}) in world.notes.noted)
