"""Quotas: counted to the text, with waits that prove true, in memory and in a real Redis."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from serve_app.api.client import Client
from serve_app.api.errors import ProblemError
from serve_app.api.limits import Quota, Verdict
from serve_app.api.room import Places
from serve_app.api.window import Window
from serve_app.settings import Settings, SettingsError
from tests.api.asking import client
from tests.api.log import logged
from tests.api.world import World
from tests.redis_server import RedisServer, needs_redis

A, B = (Client(f"key:{name}", "api-key", frozenset({"infer"})) for name in "ab")


class Clock:
    """Stands in for the module `time` where the library counts in memory."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


@contextmanager
def clock(now: float = 6000.0) -> Iterator[Clock]:
    """Time that passes only when the test says so; by default a window begins."""
    it = Clock(now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("limits.aio.storage.memory.time", it)
        yield it


def quota(limit: str, **others: Any) -> Quota:
    # A machine that stands still for a second is no Redis that is away.
    return Quota(Settings(**{"quota": limit, "quota_redis_timeout_s": 30, **others}))


def rate(headers: dict[str, str] | httpx.Headers) -> tuple[int, int | None]:
    """Remaining texts and seconds until there are more."""
    match = re.fullmatch(r'"texts";r=(\d+)(?:;t=(\d+))?', headers["RateLimit"])
    assert match, headers["RateLimit"]
    return int(match[1]), None if match[2] is None else int(match[2])


async def test_texts_are_counted_for_each_client() -> None:
    it = quota("10/minute")
    with clock():
        headers = (await it.draw(A, 4)).headers
        assert headers["RateLimit-Policy"] == '"texts";q=10;w=60;qu="texts"'
        assert rate(headers)[0] == 6
        assert rate((await it.draw(A, 6)).headers)[0] == 0
        with pytest.raises(ProblemError) as refused:
            await it.draw(A, 1)
        assert refused.value.kind.status == 429
        assert rate((await it.draw(B, 10)).headers)[0] == 0


async def test_what_is_refused_draws_nothing() -> None:
    it = quota("10/minute")
    with clock():
        await it.draw(A, 8)
        for _ in range(5):
            assert not (await it.take(A, 3)).granted
        assert rate((await it.take(A, 2)).headers)[0] == 0


@pytest.mark.parametrize(
    ("window", "remaining", "waits"),
    [
        # limit, length, before, before_left, now, now_left
        (Window(10, 60, 0, 0, 0, 0), 10, {}),
        (Window(10, 60, 0, 0, 10, 20), 0, {1: 21, 2: 27, 10: 75}),
        (Window(10, 60, 10, 60, 0, 60), 0, {1: 1, 2: 7, 10: 55}),
        (Window(10, 60, 10, 30, 5, 30), 0, {1: 1, 5: 25, 6: 31, 10: 79}),
    ],
)
def test_what_is_left_and_when_there_is_more(
    window: Window, remaining: int, waits: dict[int, int]
) -> None:
    assert window.remaining == remaining
    assert {texts: window.wait(texts) for texts in waits} == waits


@given(
    start=st.floats(0, 10),
    draws=st.lists(st.tuples(st.integers(1, 12), st.floats(0, 15)), min_size=1, max_size=30),
)
@example(start=1.0, draws=[(2, 0.0), (5, 2.0), (6, 2.0)])  # ends just at the border
def test_the_wait_proves_true_and_is_the_shortest_in_whole_seconds(
    start: float, draws: list[tuple[int, float]]
) -> None:
    async def run() -> None:
        with clock(1_000_000.0 + start) as now:
            it = quota("12/10 seconds")
            for texts, pause in draws:
                verdict = await it.take(A, texts)
                if not verdict.granted:
                    asked, wait = now.now, verdict.retry_after
                    remaining, until_more = rate(verdict.headers)
                    assert remaining < texts
                    # The draft: not earlier than the reset parameter.
                    assert until_more is not None
                    assert until_more <= wait
                    now.now = asked + wait - 1.003
                    if wait > 1:
                        assert not (await it.take(A, texts)).granted
                    now.now = asked + wait
                    assert (await it.take(A, texts)).granted
                now.now += pause

    asyncio.run(run())


@given(draws=st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.floats(0, 9)), max_size=30))
def test_what_the_header_says_is_left_is_let_in_and_no_more(
    draws: list[tuple[int, bool, float]],
) -> None:
    async def run() -> None:
        with clock() as now:
            it = quota("12/10 seconds")
            for texts, all_of_it, pause in draws:
                left = rate((await it.take(A, texts)).headers)[0]
                assert not (await it.take(A, left + 1)).granted
                if left and all_of_it:
                    assert (await it.take(A, left)).granted
                now.now += pause

    asyncio.run(run())


async def test_a_client_that_obeys_is_let_in_in_real_time() -> None:
    it = quota("5/second")
    while (verdict := await it.take(A, 4)).granted:
        pass
    await asyncio.sleep(verdict.retry_after)
    assert (await it.take(A, 4)).granted


async def test_a_text_and_a_list_of_one_get_the_same_verdict() -> None:
    world = World(quota="3/hour")
    with clock():
        await _same_verdict(world)
    assert world.texts == 3


async def _same_verdict(world: World) -> None:
    async with client(world.app) as http:
        for body, others in (
            ({"input": "a"}, {"input": ["a"]}),
            ({"input": ["a"]}, {"input": "a"}),
        ):
            first = await http.post("/onnx/infer", json=body)
            second = await http.post("/onnx/infer", json=others)
            assert (first.status_code, second.status_code) in ((200, 200), (200, 429), (429, 429))
        alone = await http.post("/onnx/infer", json={"input": "a"})
        listed = await http.post("/onnx/infer", json={"input": ["a"]})
        assert alone.status_code == listed.status_code == 429
        assert rate(alone.headers) == rate(listed.headers)
        assert alone.json() == listed.json()
        assert alone.headers["Retry-After"] == listed.headers["Retry-After"]


async def test_every_protocol_draws_and_says_so() -> None:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}
    asked = {
        "/onnx/infer": {"input": "a"},
        "/transformers": {"inputs": "a"},
        "/v2/models/auto/infer": {"inputs": [tensor]},
    }
    async with client(World(quota="3/hour").app) as http:
        left = 3
        for path, body in asked.items():
            answer = await http.post(path, json=body)
            left -= 1
            assert (answer.status_code, rate(answer.headers)[0]) == (200, left), path
        for path, body in asked.items():
            answer = await http.post(path, json=body)
            assert answer.status_code == 429, path
            assert "3 texts per hour does not have 1 left" in answer.text
            assert rate(answer.headers)[0] == 0
            assert int(answer.headers["Retry-After"]) >= 1


async def test_what_is_not_valid_draws_nothing() -> None:
    async with client(World(quota="2/hour").app) as http:
        for body in ({"input": ""}, {"input": ["a"] * 300}, {}):
            assert (await http.post("/onnx/infer", json=body)).status_code == 422
        answer = await http.post("/onnx/infer", json={"input": "a"})
    assert rate(answer.headers)[0] == 1


async def test_a_list_larger_than_the_quota_is_told_that_it_can_never_pass() -> None:
    async with client(World(quota="3/hour").app) as http:
        answer = await http.post("/onnx/infer", json={"input": ["a"] * 4})
    assert answer.status_code == 422
    assert "can never pass" in answer.json()["detail"]
    assert "3 per hour" in answer.json()["detail"]
    assert "Retry-After" not in answer.headers
    assert answer.headers["RateLimit-Policy"] == '"texts";q=3;w=3600;qu="texts"'


async def test_texts_that_were_not_answered_are_given_back() -> None:
    world = World(quota="10/hour", timeout_s=0.01)
    world.may_answer.clear()
    async with client(world.app) as http:
        for body in ({"input": "alone"}, {"input": ["one", "two", "three"]}):
            answer = await http.post("/onnx/infer", json=body)
            assert answer.status_code == 504
        world.may_answer.set()
        answer = await http.post("/onnx/infer", json={"input": ["text"] * 10})
    assert answer.status_code == 200
    assert rate(answer.headers)[0] == 0


async def test_no_more_is_given_back_than_the_window_has() -> None:
    counted = quota("10/hour")
    await counted.give_back(A, 5, Verdict(True, counted_at=time.monotonic()))
    assert (await counted.take(A, 10)).granted
    assert not (await counted.take(A, 1)).granted


async def test_what_was_drawn_from_an_earlier_window_is_not_given_to_this_one() -> None:
    counted = quota("10/hour")
    drawn = await counted.take(A, 10)
    await counted.give_back(A, 10, replace(drawn, counted_at=time.monotonic() - 3601))
    assert not (await counted.take(A, 1)).granted
    await counted.give_back(A, 10, drawn)
    assert (await counted.take(A, 10)).granted


class Slow(MemoryStorage):
    """In the place of Redis: it counts when the test lets it, each trip takes as long as the test
    says, and the window can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.may_count = asyncio.Event()
        self.away = False
        self.trip = 0.0

    async def acquire_sliding_window_entry(self, *args: Any, **more: Any) -> bool:
        await self.may_count.wait()
        await asyncio.sleep(self.trip)
        return await super().acquire_sliding_window_entry(*args, **more)

    async def get_sliding_window(self, *args: Any, **more: Any) -> tuple[int, float, int, float]:
        if self.away:
            raise RedisError("away")
        await asyncio.sleep(self.trip)
        return await super().get_sliding_window(*args, **more)

    def serve(self, it: Quota) -> None:
        it._storage = self
        it._limiter = SlidingWindowCounterRateLimiter(self)


async def test_a_slow_redis_lets_no_more_requests_wait_than_there_are_places() -> None:
    world = World(quota="1000/hour", quota_redis="redis://127.0.0.1:1", quota_redis_timeout_s=60)
    storage = Slow()
    storage.serve(world.gateway.quota)
    world.gateway.arriving = Places("bodies on their way", 20, 20)
    async with client(world.app) as http:
        body = {"input": "a"}
        asked = [asyncio.create_task(http.post("/onnx/infer", json=body)) for _ in range(30)]
        await world.until(lambda: sum(task.done() for task in asked) == 10)
        refused = [task.result() for task in asked if task.done()]
        storage.may_count.set()
        statuses = [(await task).status_code for task in asked]
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in refused} == {
        (503, "1")
    }
    assert statuses.count(200) == 20


async def test_a_quota_that_is_not_counted_in_time_ends_the_request() -> None:
    world = World(
        quota="1000/hour",
        quota_redis="redis://127.0.0.1:1",
        quota_redis_timeout_s=60,
        timeout_s=0.05,
    )
    storage = Slow()
    storage.serve(world.gateway.quota)
    async with client(world.app) as http:
        body = {"input": "a"}
        first = [asyncio.create_task(http.post("/onnx/infer", json=body)) for _ in range(8)]
        await world.until(world.gateway.quota._connections.locked)
        late = await http.post("/onnx/infer", json=body)
        storage.may_count.set()
        assert {(await task).status_code for task in first} == {200}
        left = rate((await http.post("/onnx/infer", json=body)).headers)[0]
    assert late.status_code == 504
    assert "The quota was not counted within 0.05 s" in late.json()["detail"]
    assert left == 991, "who was told 504 pays nothing"


async def test_beside_a_slow_redis_who_came_first_is_let_in_first() -> None:
    it = quota("1000/hour", quota_redis="redis://127.0.0.1:1", quota_redis_timeout_s=60)
    storage = Slow()
    storage.serve(it)
    storage.may_count.set()
    storage.trip = 0.01
    draws = [asyncio.create_task(it.draw(A, 1)) for _ in range(100)]
    await asyncio.wait(draws, return_when=asyncio.FIRST_COMPLETED)
    assert 1000 - rate((await draws[0]).headers)[0] <= 16, "not after the others' counts"
    await asyncio.gather(*draws)


@pytest.mark.parametrize("choice", ["open", "closed"])
async def test_what_redis_counted_before_it_went_stands(choice: str) -> None:
    it = quota("10/hour", quota_redis="redis://127.0.0.1:1", quota_redis_away=choice)
    storage = Slow()
    storage.serve(it)
    storage.may_count.set()
    storage.away = True
    counted = await it.take(A, 10)
    assert (counted.granted, counted.headers) == (True, {})
    it._ask_at = 0.0
    refused = await it.take(A, 1)
    assert (refused.granted, refused.retry_after) == (False, 1)
    storage.away, it._ask_at = False, 0.0
    await it.give_back(A, 4, counted)
    assert not (await it.take(A, 5)).granted
    assert (await it.take(A, 4)).granted


async def test_a_stream_draws_as_it_goes() -> None:
    world = World(quota="20/second")
    lines = b'{"input": "a"}\n' * 25
    headers = {"Content-Type": "application/x-ndjson"}
    async with client(world.app) as http:
        begin = time.monotonic()
        answer = await http.post("/onnx/stream", content=lines, headers=headers)
        assert answer.text.count('"label"') == 25
        assert time.monotonic() - begin >= 1, "it waited for the quota"


async def test_a_stream_that_would_wait_too_long_is_told_when_to_go_on() -> None:
    world = World(quota="10/day")
    headers = {"Content-Type": "application/x-ndjson"}
    async with client(world.app) as http:
        await http.post("/onnx/infer", json={"input": ["a"] * 10})
        answer = await http.post("/onnx/stream", content=b'{"input": "a"}\n', headers=headers)
    assert '"status":429' in answer.text
    assert '"retry_after":' in answer.text


async def test_a_stream_takes_what_a_small_quota_has_before_it_is_refused() -> None:
    world = World(quota="20/hour")
    headers = {"Content-Type": "application/x-ndjson"}
    async with client(world.app) as http:
        answer = await http.post("/onnx/stream", content=b'{"input": "a"}\n' * 70, headers=headers)
    assert answer.text.count('"label"') == 20
    assert '"status":429' in answer.text


async def test_the_document_says_what_a_quota_adds() -> None:
    async with client(World(quota="3/hour").app) as http:
        document = (await http.get("/openapi.json")).json()
        assert (await http.get("/info")).json()["limits"]["quota"] == "3/hour"
        ready = (await http.get("/ready")).json()
    assert ready["quota"] == "ready"
    operation = document["paths"]["/onnx/infer"]["post"]
    assert {"RateLimit", "RateLimit-Policy"} <= operation["responses"]["200"]["headers"].keys()
    assert {"Retry-After", "RateLimit"} <= operation["responses"]["429"]["headers"].keys()
    assert "security" not in operation
    hugging_face = document["paths"]["/onnx"]["post"]["responses"]
    assert hugging_face["429"]["content"] == hugging_face["422"]["content"]
    assert "429" not in document["paths"]["/cluster"]["get"]["responses"]


@pytest.mark.parametrize("limit", ["", "10", "0/minute", "10/fortnight", "10/minute;9/hour"])
def test_a_quota_that_is_none_is_refused(limit: str) -> None:
    with pytest.raises(ValueError, match="quota"):
        Settings(quota=limit)


@pytest.mark.parametrize(
    "others", [{"quota_redis": "redis://a"}, {"quota": "1/day", "quota_redis": "http://a"}]
)
def test_a_redis_that_cannot_be_used_refuses_to_start(others: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="SENTIMENT_QUOTA_REDIS"):
        Settings(**others)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as redis:
        yield redis


@needs_redis
@pytest.mark.system
async def test_replicas_count_together_in_redis(redis: RedisServer) -> None:
    replicas = [quota("100/minute", quota_redis=redis.url) for _ in range(3)]
    draws = (replica.take(A, 3) for _ in range(40) for replica in replicas)
    verdicts = await asyncio.gather(*draws)
    assert sum(verdict.granted for verdict in verdicts) == 33
    assert {rate((await replica.take(A, 2)).headers)[0] for replica in replicas} == {1}
    assert rate((await replicas[0].take(B, 1)).headers)[0] == 99


@needs_redis
@pytest.mark.system
async def test_redis_has_back_what_was_not_answered(redis: RedisServer) -> None:
    it = quota("10/hour", quota_redis=redis.url)
    drawn = await it.take(A, 10)
    assert drawn.granted
    await it.give_back(A, 4, drawn)
    assert not (await it.take(A, 5)).granted
    assert (await it.take(A, 4)).granted


@needs_redis
@pytest.mark.system
async def test_what_redis_did_not_count_is_not_given_back(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.api.limits.AWAY_S", 0.0)
    it = quota("10/hour", quota_redis=redis.url)
    redis.kill()
    uncounted = await it.take(A, 5)
    assert uncounted.granted
    redis.start()
    counted = await it.take(A, 10)
    assert counted.granted
    await it.give_back(A, 5, uncounted)
    assert not (await it.take(A, 1)).granted
    await it.give_back(A, 5, counted)
    assert (await it.take(A, 5)).granted


@needs_redis
@pytest.mark.system
async def test_a_client_that_obeys_is_let_in_by_redis(redis: RedisServer) -> None:
    it = quota("5/second", quota_redis=redis.url)
    while (verdict := await it.take(A, 4)).granted:
        pass
    await asyncio.sleep(verdict.retry_after)
    assert (await it.take(A, 4)).granted


@needs_redis
@pytest.mark.system
@pytest.mark.parametrize("choice", ["open", "closed"])
async def test_redis_away_and_back(redis: RedisServer, choice: str) -> None:
    world = World(
        quota="2/hour",
        quota_redis=redis.url,
        quota_redis_away=choice,
        quota_redis_timeout_s=30,  # the machine may stand still, and a Redis that is gone is told
    )
    async with client(world.app) as http:

        async def ask() -> httpx.Response:
            return await http.post("/onnx/infer", json={"input": "a"})

        assert [(await ask()).status_code for _ in range(3)] == [200, 200, 429]
        assert (await http.get("/ready")).json()["quota"] == "ready"
        redis.kill()
        with logged() as messages:
            begin = time.monotonic()
            answers = await asyncio.gather(*(ask() for _ in range(100)))
            assert time.monotonic() - begin < 5
            assert {answer.status_code for answer in answers} == {200 if choice == "open" else 503}
            assert not any("RateLimit" in answer.headers for answer in answers)
            if choice == "closed":
                assert answers[0].json()["type"] == "urn:sentiment:problem:quota-unavailable"
                assert answers[0].headers["Retry-After"] == "1"
        (message,) = messages
        assert ("let in uncounted" if choice == "open" else "refused") in message
        ready = await http.get("/ready")
        assert ready.status_code == (200 if choice == "open" else 503)
        assert "Redis does not count" in ready.json()["quota"]
        with logged() as messages:
            redis.start()
            assert (await http.get("/ready")).json()["quota"] == "ready"
        assert messages == ["Redis counts the quotas again"]
        assert [(await ask()).status_code for _ in range(3)] == [200, 200, 429]
        redis.kill()
        await ask()
        redis.start()
        begin = time.monotonic()
        while "RateLimit" not in (await ask()).headers:  # requests find it again by themselves
            assert time.monotonic() - begin < 5
            await asyncio.sleep(0.05)


@needs_redis
@pytest.mark.system
async def test_a_redis_that_hangs_holds_nobody_up(redis: RedisServer) -> None:
    it = quota("100/hour", quota_redis=redis.url, quota_redis_timeout_s=0.2)
    await it.draw(A, 1)
    with frozen(redis.pid):
        begin = time.monotonic()
        verdicts = await asyncio.gather(*(it.take(A, 1) for _ in range(200)))
        for _ in range(100):
            verdicts.append(await it.take(A, 1))
        assert time.monotonic() - begin < 5, "each by itself would take over twenty"
        assert all(verdict.granted and not verdict.headers for verdict in verdicts)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    import psutil

    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_no_piece_of_a_password_is_told() -> None:
    with pytest.raises(SettingsError) as told:
        Quota(Settings(quota="5/minute", quota_redis="redis://:sec/ret@redis:6379/1"))
    assert "sec" not in str(told.value).removeprefix("SENTIMENT").lower()
    assert told.value.__suppress_context__


async def test_counts_that_have_expired_are_not_looked_for_at_each_hit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All clients are walked for that: with many of them it took longer than an answer."""
    walks = 0

    class Counted(dict[str, float]):
        def keys(self) -> Any:
            nonlocal walks
            walks += 1
            return super().keys()

    async def draw(it: Quota, times: int) -> Counted:
        assert isinstance(it._storage, MemoryStorage)
        it._storage.expirations = counted = Counted(it._storage.expirations)
        for _ in range(times):
            await it.draw(A, 1)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return counted

    await draw(quota("10/minute"), 5)
    assert walks == 1
    monkeypatch.setattr("serve_app.api.limits.EXPIRE_S", 0.0)
    it = quota("10/minute")
    with clock() as now:
        await it.draw(B, 1)
        now.now += 1000
        async with asyncio.timeout(10):
            while any("key:b" in key for key in await draw(it, 1)):
                now.now += 60
