"""The stream route over a dispatcher whose model is plain arithmetic, message by message."""

import asyncio
import errno
import gc
import json
import re
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.answers import infer
from serve_app.api.client import ANONYMOUS
from serve_app.api.errors import QUOTA, ProblemError
from serve_app.api.gateway import Gateway
from serve_app.api.keys import Records, write
from serve_app.api.spool import SilentError
from serve_app.api.stream import AT_ONCE
from serve_app.dispatcher import BackendError
from serve_app.lane import Dropped
from serve_app.messages import Call, Reply
from serve_app.request import Answers
from serve_app.telemetry import BAD_ROWS, REQUESTS, TEXTS, Metric
from tests.api.log import logged
from tests.api.world import MANIFEST, World

Answer = dict[str, Any]


class Conversation:
    """One request to an ASGI app whose messages the test sends and takes one at a time."""

    def __init__(
        self,
        app: ASGIApp,
        query: str = "",
        media: str = "application/x-ndjson",
        *headers: tuple[bytes, bytes],
    ) -> None:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self._taken: asyncio.Queue[Message] = asyncio.Queue(1)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/onnx/stream",
            "raw_path": b"/onnx/stream",
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [(b"content-type", media.encode()), *headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        self.task: asyncio.Task[None] = asyncio.create_task(
            app(scope, self._to_app.get, self._taken.put)  # type: ignore[arg-type]
        )
        self._buffer = b""

    def send(self, data: bytes, more: bool = True) -> None:
        self._to_app.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def hang_up(self) -> None:
        self._to_app.put_nowait({"type": "http.disconnect"})

    async def message(self) -> Message:
        async with asyncio.timeout(60):
            return await self._taken.get()

    async def line(self) -> Answer:
        while b"\n" not in self._buffer:
            self._buffer += (await self.message()).get("body", b"")
        line, self._buffer = self._buffer.split(b"\n", 1)
        answer: Answer = json.loads(line)
        return answer

    async def rest(self) -> list[Answer]:
        lines = [await self.line()]
        while "summary" not in lines[-1]:
            lines.append(await self.line())
        return lines


def rows(*texts: str) -> bytes:
    return b"".join(json.dumps({"input": text}).encode() + b"\n" for text in texts)


@pytest.fixture
def world() -> World:
    return World()


async def test_answers_begin_before_the_upload_ends(world: World) -> None:
    talk = Conversation(world.app)
    talk.send(rows("four"))
    assert (await talk.message())["status"] == 200
    assert (await talk.line())["id"] == 0
    talk.send(rows("five!", "sixsix"))
    assert [(await talk.line())["id"] for _ in range(2)] == [1, 2]
    talk.send(b"", more=False)
    (summary,) = await talk.rest()
    assert summary["summary"]["rows"] == 3
    await talk.task


async def test_rows_are_answered_in_order_with_their_ids_and_errors(world: World) -> None:
    talk = Conversation(world.app)
    body = rows(*("x" * (n % 50 + 1) for n in range(500)))
    talk.send(body + b'oops\n{"input": "y", "id": "mine"}\n', more=False)
    await talk.message()
    *lines, last = await talk.rest()
    assert [line["id"] for line in lines] == [*range(501), "mine"]
    assert "error" in lines[500]
    assert lines[3]["score"] == pytest.approx(world.score("xxxx"))
    assert last["summary"]["errors"] == 1
    assert last["summary"]["rows"] == 502


async def test_texts_that_were_cut_are_counted_in_the_last_line(world: World) -> None:
    talk = Conversation(world.app)
    talk.send(rows("short", "x" * 1000, "y" * 1000), more=False)
    await talk.message()
    *_, last = await talk.rest()
    assert last["summary"]["truncated"] == 2


async def test_a_broken_stream_goes_on_at_its_offset(world: World) -> None:
    talk = Conversation(world.app, "offset=3")
    talk.send(rows(*"abcde"), more=False)
    await talk.message()
    *lines, last = await talk.rest()
    assert [line["id"] for line in lines] == [3, 4]
    assert last["summary"]["rows"] == 2


async def test_a_stream_whose_upload_falls_silent_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.api.stream.SILENCE_S", 0.3)
    talk = Conversation(world.app)
    talk.send(rows("four"))
    await talk.message()
    answered, last = await talk.rest()
    assert answered["id"] == 0
    assert last["error"]["status"] == 400
    assert last["error"]["detail"] == "Nothing more of the upload came for 0.3 s."
    assert last["summary"]["rows"] == 1
    await talk.task


@pytest.mark.parametrize("answered_before", [False, True])
async def test_a_client_that_waits_for_its_answers_is_not_silent(
    world: World, monkeypatch: pytest.MonkeyPatch, answered_before: bool
) -> None:
    """Nor is one whose answer has just come: it has the whole time again."""
    silent = asyncio.Event()

    class OnceError(SilentError):
        def __init__(self) -> None:
            monkeypatch.setattr("serve_app.api.stream.SILENCE_S", 60.0)
            silent.set()

    monkeypatch.setattr("serve_app.api.stream.SILENCE_S", 0.3)
    monkeypatch.setattr("serve_app.api.spool.SilentError", OnceError)
    if not answered_before:
        world.may_answer.clear()
    talk = Conversation(world.app)
    talk.send(rows("four"))
    await talk.message()
    if answered_before:
        assert (await talk.line())["id"] == 0
    async with asyncio.timeout(10):
        await silent.wait()
    if not answered_before:
        world.may_answer.set()
        assert (await talk.line())["id"] == 0
    talk.send(rows("five!"), more=False)
    answered, last = await talk.rest()
    assert answered["id"] == 1
    assert "error" not in last
    await talk.task


@pytest.mark.parametrize("limit", ["max_streams", "max_streams_per_client"])
async def test_no_more_streams_are_open_than_may_be(limit: str) -> None:
    settings: dict[str, Any] = {limit: 2}
    world = World(**settings)
    talks = [Conversation(world.app) for _ in range(2)]
    for talk in talks:
        assert (await talk.message())["status"] == 200
    with logged() as lines:
        refused = await Conversation(world.app).message()
    assert refused["status"] == 503
    assert (b"retry-after", b"1") in refused["headers"]
    assert [line.split(": ")[1] for line in lines] == ["too many open streams"]
    assert [tags["kind"] for tags in ended(world)] == ["overloaded"]
    talks[0].hang_up()  # whose place is free then
    await talks[0].task
    last = Conversation(world.app)
    last.send(rows("four"), more=False)
    assert (await last.message())["status"] == 200
    assert "error" not in (await last.rest())[-1]
    talks[1].hang_up()
    await talks[1].task


async def test_a_slow_reader_holds_up_the_model_and_not_the_upload(world: World) -> None:
    talk = Conversation(world.app)
    for _ in range(200):
        talk.send(rows(*["some text"] * 20))
    talk.send(b"", more=False)
    await asyncio.wait_for(world.until(lambda: talk._to_app.empty()), 60)
    assert world.texts <= 32 * 8, "the model was asked only for what the reader may soon take"
    await talk.message()
    assert len(await talk.rest()) == 4001


async def test_an_upload_without_a_row_does_not_hold_the_loop(world: World) -> None:
    talk = Conversation(world.app)
    for _ in range(40):
        talk.send(b"\n" * 65_536)
    await talk.message()
    turns = 0
    talk.send(b"", more=False)
    rest = asyncio.create_task(talk.rest())
    while not rest.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 40, "others had their turn between the pieces"
    (last,) = rest.result()
    assert last["summary"]["rows"] == 0


async def test_rows_that_are_none_do_not_hold_the_loop(world: World) -> None:
    """One read holds thousands of them, each slower to refuse than a good one is to take."""
    talk = Conversation(world.app)
    talk.send(b"x\n" * 32_000)
    await talk.message()
    turns = 0
    talk.send(b"", more=False)
    async with asyncio.timeout(60):
        while talk._taken.empty():  # until the first answer there is nothing but parsing
            await asyncio.sleep(0)
            turns += 1
    assert turns > 32_000 / AT_ONCE
    assert (await talk.rest())[-1]["summary"]["errors"] == 32_000


async def test_uploads_that_fill_the_disk_together_are_told_so(world: World) -> None:
    world = World(max_spools_bytes=3000)
    world.may_answer.clear()
    first = Conversation(world.app)
    first.send(rows(*["text"] * 140))  # some 2,600 bytes
    await first.message()
    await world.until(lambda: world.gateway.spools._left < 1000)
    second = Conversation(world.app)
    second.send(rows(*["text"] * 100), more=False)
    with logged() as lines:
        await second.message()
        (last,) = await second.rest()
    (line,) = lines
    assert re.match("request .*: the upload cannot be kept: .*No space left", line)
    assert last["error"]["status"] == 503
    assert "No space left" in last["error"]["detail"]
    first.hang_up()
    await first.task
    assert world.gateway.spools._left == 3000, "the disk is given back"


async def test_one_piece_at_a_time_waits_for_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the same patience: those behind the first would begin to lose it with its own."""
    world = World(quota="1000/hour")
    drawing, most = 0, 0

    async def draw(*_: object) -> None:
        nonlocal drawing, most
        drawing += 1
        most = max(most, drawing)
        await asyncio.sleep(0.001)
        drawing -= 1

    monkeypatch.setattr(world.gateway.quota, "draw_patiently", draw)
    talk = Conversation(world.app)
    talk.send(rows(*["text"] * 500), more=False)
    await talk.message()
    assert (await talk.rest())[-1]["summary"]["rows"] == 500
    assert most == 1
    await talk.task


async def test_what_ended_a_stream_is_gone_without_the_garbage_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It runs seldom, and the error's frames have all that the stream had."""
    world = World(quota="1000/hour")
    left: list[weakref.ref[ProblemError]] = []

    def refused() -> ProblemError:
        error = ProblemError(QUOTA, "none is left")
        left.append(weakref.ref(error))
        return error

    async def draw(*_: object) -> None:
        raise refused()

    monkeypatch.setattr(world.gateway.quota, "draw_patiently", draw)
    gc.collect()
    gc.disable()
    try:
        talk = Conversation(world.app)
        talk.send(rows(*["text"] * 50), more=False)
        await talk.message()
        assert (await talk.rest())[-1]["error"]["status"] == 429
        await talk.task
        await asyncio.sleep(0)
        assert left
        assert [error() for error in left] == [None] * len(left)
    finally:
        gc.enable()


async def test_long_rows_travel_in_pieces_no_larger_than_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pieces: list[int] = []

    async def noted(gateway: Gateway, backend: str, texts: list[str]) -> Answers:
        pieces.append(len(texts))
        return await infer(gateway, backend, texts)

    monkeypatch.setattr("serve_app.api.stream.infer", noted)
    talk = Conversation(World(max_body_bytes=100_000).app)
    talk.send(rows(*["x" * 60_000] * 12), more=False)
    await talk.message()
    *lines, last = await talk.rest()
    assert [line["id"] for line in lines] == list(range(12))
    assert last["summary"]["rows"] == sum(pieces) == 12
    assert max(pieces) <= 3
    await talk.task


async def test_who_hangs_up_pays_for_what_the_model_was_given() -> None:
    """As with a list; else who hangs up again and again has the model for nothing."""
    world = World(quota="160/hour")
    talk = Conversation(world.app)
    talk.send(rows(*["text"] * 128), more=False)
    await talk.message()
    await world.until(lambda: world.texts == 128)
    talk.hang_up()
    async with asyncio.timeout(20):
        await asyncio.wait({talk.task})
    assert not (await world.gateway.quota.take(ANONYMOUS, 33)).granted
    assert (await world.gateway.quota.take(ANONYMOUS, 32)).granted


async def test_a_client_that_hangs_up_ends_the_work_within_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Dropped] = []

    async def call(call: Call, dropped: Dropped) -> Reply:
        begun.append(dropped)
        return await World._call(world, call, dropped)

    monkeypatch.setattr(world.gateway.dispatchers["onnx"], "_call", call)
    world.may_answer.clear()
    talk = Conversation(world.app)
    talk.send(rows(*["text"] * 1000))
    await talk.message()
    await world.until(lambda: begun)
    talk.hang_up()
    # The replicas hear of it too. (`timeout` would cancel the task, which hides that it is late.)
    _, late = await asyncio.wait({talk.task, *begun}, timeout=1)
    assert not late
    await talk.task
    calls = world.calls
    world.may_answer.set()
    await asyncio.sleep(0)
    assert world.calls == calls


async def test_more_than_the_spool_holds_ends_with_413_after_what_was_taken(world: World) -> None:
    world = World(max_spool_bytes=1000)
    world.may_answer.clear()
    talk = Conversation(world.app)
    for _ in range(20):
        talk.send(rows(*["text"] * 40))
    await world.until(talk._to_app.empty)
    world.may_answer.set()
    await talk.message()
    *lines, last = await talk.rest()
    assert last["error"]["status"] == 413
    assert last["summary"]["rows"] == len(lines) > 0


async def test_an_overloaded_model_is_waited_for(world: World) -> None:
    world = World(max_waiting_texts=64)
    talk = Conversation(world.app)
    talk.send(rows(*["text"] * 1000), more=False)
    await talk.message()
    assert (await talk.rest())[-1]["summary"] == {
        "rows": 1000,
        "errors": 0,
        "seconds": pytest.approx(1, abs=10),
        "texts_per_second": pytest.approx(1, abs=1e9),
    }


@pytest.fixture
async def _leaping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes where the loop would wait, at once; what the machine takes for the rest is none.

    The loop, the stream's patience and the dispatcher all have it from `time.monotonic`.
    """
    now = time.monotonic()
    selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    wait = selector.select

    def leap(timeout: float | None) -> Any:
        nonlocal now
        ready = wait(None if timeout is None else 0)
        if not ready and timeout is not None:
            now += timeout
        return ready

    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(selector, "select", leap)


@pytest.mark.usefixtures("_leaping")
async def test_a_slow_model_answers_one_row_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that a stream has with the model at once would be late together, again and again."""
    world = World(timeout_s=1.0, calls_per_replica=2)
    free_at = 0.0

    async def call(call: Call, dropped: Dropped) -> Reply:
        """40 texts a second, one call after the other: of four pieces one is in time."""
        nonlocal free_at
        now = asyncio.get_running_loop().time()
        free_at = max(now, free_at) + sum(map(len, call.requests)) / 40
        await asyncio.wait({dropped}, timeout=free_at - now)
        if dropped.done():
            free_at = min(free_at, now)
            raise BackendError("dropped")
        return await World._call(world, call, dropped)

    monkeypatch.setattr(world.gateway.dispatchers["onnx"], "_call", call)
    begun = time.monotonic()
    talk = Conversation(world.app)
    talk.send(rows(*["text"] * 200), more=False)
    await talk.message()
    *_, last = await talk.rest()
    assert last["summary"]["rows"] == 200
    assert time.monotonic() - begun < 10, "the model needs 5, and 15 where they disturb each other"


async def test_a_model_that_is_away_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def call(call: Call, dropped: Dropped) -> Reply:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise BackendError("gone")
        return await World._call(world, call, dropped)

    monkeypatch.setattr(world.gateway.dispatchers["onnx"], "_call", call)
    talk = Conversation(world.app)
    talk.send(rows("four", "seven.."), more=False)
    await talk.message()
    *lines, last = await talk.rest()
    assert [line["score"] for line in lines] == [
        pytest.approx(world.score("four")),
        pytest.approx(world.score("seven..")),
    ]
    assert last.keys() == {"summary"}
    assert asked == 3


@pytest.mark.usefixtures("_leaping")
async def test_a_model_that_stays_away_is_waited_for_a_minute(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise BackendError("gone")

    monkeypatch.setattr(world.gateway.dispatchers["onnx"], "_call", away)
    begun = time.monotonic()
    talk = Conversation(world.app)
    talk.send(rows("text"), more=False)
    await talk.message()
    async with asyncio.timeout(90):
        await talk.task
    (last,) = await talk.rest()
    assert 60 < time.monotonic() - begun < 62
    assert last["error"]["type"] == "urn:sentiment:problem:not-ready"
    assert last["error"]["retry_after"] == 5
    assert last["summary"]["rows"] == 0


async def test_any_name_of_a_model_can_be_streamed() -> None:
    talk = Conversation(World(MANIFEST.model_copy(update={"model_id": "模型"})).app)
    talk.send(rows("text"), more=False)
    start = await talk.message()
    assert start["status"] == 200
    assert (b"x-model", b"%E6%A8%A1%E5%9E%8B") in start["headers"]
    assert (await talk.rest())[-1]["summary"]["rows"] == 1


@pytest.mark.parametrize(
    ("media", "query", "status"),
    [("application/json", "", 415), ("text/csv", "", 422), ("text/csv", "offset=-1", 422)],
)
async def test_what_cannot_be_a_stream_is_refused_before_it_begins(
    world: World, media: str, query: str, status: int
) -> None:
    talk = Conversation(world.app, query, media)
    talk.send(b"", more=False)
    assert (await talk.message())["status"] == status


async def test_a_compressed_upload_is_refused(world: World) -> None:
    gzip = (b"content-encoding", b"gzip")
    talk = Conversation(world.app, "", "application/x-ndjson", gzip)
    talk.send(b"", more=False)
    refused = await talk.message()
    assert refused["status"] == 415
    assert (b"accept-encoding", b"identity") in refused["headers"]


async def test_a_csv_is_answered_by_its_column(world: World) -> None:
    talk = Conversation(world.app, "text_column=review", "text/csv; charset=utf-8")
    talk.send(b'stars,review\n5,"good, really"\n1,dull\n', more=False)
    await talk.message()
    *lines, last = await talk.rest()
    assert [line["score"] for line in lines] == [
        pytest.approx(world.score("good, really")),
        pytest.approx(world.score("dull")),
    ]
    assert last["summary"]["rows"] == 2


async def test_a_csv_without_the_column_ends_with_422(world: World) -> None:
    talk = Conversation(world.app, "text_column=text", "text/csv")
    talk.send(b"a,b\n1,2\n", more=False)
    await talk.message()
    (last,) = await talk.rest()
    assert last["error"]["status"] == 422


def fail(*_: object) -> None:
    raise ZeroDivisionError


def ended(world: World) -> list[dict[str, str]]:
    """The tags of the requests that were counted."""
    return world.notes.tags(REQUESTS)


def counted(world: World, metric: Metric) -> float:
    return sum(value for noted, value, _ in world.notes.noted if noted is metric)


async def test_a_stream_and_its_rows_are_counted(world: World) -> None:
    talk = Conversation(world.app)
    talk.send(rows(*["text"] * 100) + b"oops\n", more=False)
    await talk.message()
    await talk.rest()
    await talk.task
    assert ended(world) == [
        {
            "route": "stream",
            "backend": "onnx",
            "status": "200",
            "kind": "answered",
            "client": "anonymous",
        }
    ]
    assert counted(world, TEXTS) == 100
    assert counted(world, BAD_ROWS) == 1


async def test_a_stream_that_is_refused_or_left_is_counted(world: World) -> None:
    talk = Conversation(world.app, "offset=x")
    talk.send(b"", more=False)
    assert (await talk.message())["status"] == 422
    talk = Conversation(world.app)
    await talk.message()
    talk.hang_up()
    await talk.task
    assert [tags["status"] for tags in ended(world)] == ["422", "499"]


async def test_a_fault_before_a_stream_begins_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.api.stream._asked", fail)
    talk = Conversation(world.app)
    assert (await talk.message())["status"] == 500
    assert [tags["status"] for tags in ended(world)] == ["500"]


async def test_who_may_not_stream_is_not_told_what_is_wrong_with_the_query(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write(file, Records(keys=()))
    world = World(auth="api-key", api_keys=file)
    talk = Conversation(world.app, "offset=x")
    talk.send(b"", more=False)
    assert (await talk.message())["status"] == 401
    assert ended(world)[0]["client"] == "unknown"


async def test_rows_that_were_not_answered_are_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.api.stream.PATIENCE_S", 0.0)
    world = World(quota="100/hour", timeout_s=0.01)
    world.may_answer.clear()
    talk = Conversation(world.app)
    talk.send(rows(*["text"] * 60), more=False)
    await talk.message()
    (last,) = await talk.rest()
    assert last["error"]["status"] == 504
    verdict = await world.gateway.quota.take(ANONYMOUS, 100)
    assert verdict.granted


async def test_a_row_that_the_model_fails_on_is_told_in_its_place_and_given_back() -> None:
    world = World(quota="3/hour")
    talk = Conversation(world.app)
    talk.send(rows("a", "bad", "a"), more=False)
    await talk.message()
    *lines, last = await talk.rest()
    good = {"label": "POSITIVE", "score": pytest.approx(world.score("a"))}
    assert lines == [{"id": 0, **good}, {"id": 1, "error": "it is odd"}, {"id": 2, **good}]
    assert (last["summary"]["rows"], last["summary"]["errors"]) == (3, 1)
    assert counted(world, TEXTS) == 2
    assert counted(world, BAD_ROWS) == 1
    assert (await world.gateway.quota.take(ANONYMOUS, 1)).granted
    assert not (await world.gateway.quota.take(ANONYMOUS, 1)).granted


async def test_nothing_leaves_behind_a_piece_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes on by `?offset=` counts the rows before: none may be missing among them."""
    monkeypatch.setattr("serve_app.api.stream.PATIENCE_S", 0.0)
    world = World(quota="50/hour")
    world.may_answer.clear()
    talk = Conversation(world.app)
    talk.send(rows(*["text"] * 74), more=False)  # 32 pass, 32 do not, 10 would
    await talk.message()
    await world.until(lambda: world.calls > 2)  # of 16 texts, and one of 10
    world.may_answer.set()
    *lines, last = await talk.rest()
    assert [line["id"] for line in lines] == list(range(32))
    assert last["error"]["status"] == 429
    assert last["summary"]["rows"] == 32
    await talk.task
    assert (await world.gateway.quota.take(ANONYMOUS, 18)).granted, "the others are given back"


async def test_an_unforeseen_fault_is_counted_as_the_service_s_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.api.stream.apply", fail)
    talk = Conversation(world.app)
    talk.send(rows("text"), more=False)
    await talk.message()
    with pytest.raises(ZeroDivisionError):
        await talk.task
    assert [tags["status"] for tags in ended(world)] == ["500"]


async def test_whose_stream_is_cancelled_pays_for_what_the_model_was_given() -> None:
    """Ray does it at the client's `x-request-timeout-seconds`, and nobody has hung up then."""
    world = World(quota="160/hour")
    talk = Conversation(world.app)
    talk.send(rows(*["text"] * 128), more=False)
    await talk.message()
    await world.until(lambda: world.texts == 128)
    talk.task.cancel()
    async with asyncio.timeout(20):
        await asyncio.wait({talk.task})
    assert not (await world.gateway.quota.take(ANONYMOUS, 33)).granted


async def test_an_upload_that_breaks_off_is_told_after_what_was_taken(world: World) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def breaks() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("the proxy died")
            return message

        await world.app(scope, breaks, send)

    talk = Conversation(app)
    talk.send(rows("text"))
    await talk.message()
    assert (await talk.line())["id"] == 0
    talk.hang_up()
    (last,) = await talk.rest()
    assert last["error"]["status"] == 503
    assert "the proxy died" in last["error"]["detail"]
    await talk.task
    assert world.gateway.spools._left == world.settings.max_spools_bytes


async def test_an_upload_that_cannot_be_kept_is_refused_before_it_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("serve_app.api.spool.tempfile.TemporaryFile", full)
    with logged() as lines:
        talk = Conversation(world.app)
        refused = await talk.message()
    (line,) = lines
    assert "the upload cannot be kept: OSError(24, 'Too many open files')" in line
    assert refused["status"] == 503
    assert (b"retry-after", b"1") in refused["headers"]
    assert "Too many open files" in json.loads((await talk.message())["body"])["detail"]
    await talk.task
    assert [tags["status"] for tags in ended(world)] == ["503"]
