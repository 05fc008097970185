"""The open-loop load against a little server."""

import asyncio
import time

import pytest

from benchmarks import arrivals
from benchmarks.arrivals import LATE, LOST, send
from benchmarks.overload import summarize
from tests.benchmarks.little_server import BUSY, HANG_UP, OK, serving

REFUSED = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"


async def test_requests_come_at_their_rate_whether_or_not_they_are_answered() -> None:
    async with serving(delay=0.3) as (server, url):
        start = time.monotonic()
        arrived = await send(url, [b"{}"], rate=200, seconds=0.5)
        assert time.monotonic() - start < 5
    assert 60 < len(arrived.answers) < 150
    assert server.most_at_once > 20, "nobody waited for an answer"
    assert {one.status for one in arrived.answers} == {200}
    assert min(one.ms for one in arrived.answers) >= 300


async def test_the_time_that_the_load_generator_was_held_up_counts() -> None:
    async def hold_up() -> None:
        await asyncio.sleep(0.1)
        time.sleep(0.4)  # noqa: ASYNC251 that is the point

    async with serving() as (_, url):
        arrived, _ = await asyncio.gather(send(url, [b"{}"], rate=200, seconds=0.3), hold_up())
    assert max(one.ms for one in arrived.answers) > 150


async def test_refusals_are_told_with_their_time() -> None:
    async with serving(lambda n: REFUSED if n % 2 else OK) as (_, url):
        arrived = await send(url, [b"{}"], rate=200, seconds=0.3)
    said = summarize(arrived, 0.0, 0.3)
    assert said["retry_after"] == (7, 7)
    assert abs(said["statuses"]["200"] - said["statuses"]["503"]) <= 1
    assert said["refused_p99"] is not None


async def test_what_is_lost_late_or_not_sent_is_told() -> None:
    async with serving(lambda _: HANG_UP) as (_, url):
        arrived = await send(url, [b"{}"], rate=100, seconds=0.2)
    assert {one.status for one in arrived.answers} == {LOST}
    async with serving(lambda _: BUSY, delay=10) as (_, url):
        arrived = await send(url, [b"{}"], rate=100, seconds=0.2, patience=0.1)
    assert {one.status for one in arrived.answers} == {LATE}


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MOST", 3)
    async with serving(delay=0.5) as (server, url):
        arrived = await send(url, [b"{}"], rate=200, seconds=0.2)
    assert server.most_at_once <= 3
    assert arrived.unsent
    assert summarize(arrived, 0.0, 0.2)["unsent"] == len(arrived.unsent)
    assert summarize(arrived, 5.0, 0.2)["unsent"] == 0
