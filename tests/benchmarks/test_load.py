"""The load generator, against a server in the same loop."""

import json
import time

import pytest

from benchmarks import load
from tests.benchmarks.little_server import BUSY, CHUNKED, HANG_UP, OK, serving

BODIES = [b'{"input": "one"}', b'{"input": "two"}', b'{"input": "three"}']


async def test_keeps_so_many_requests_under_way_and_takes_the_bodies_in_turn() -> None:
    async with serving(delay=0.02) as (server, url):
        result = await load.run(url, BODIES, 4, 0.3)
    assert server.most_at_once == 4
    assert server.bodies[:6] == [*BODIES, *BODIES]
    assert result.errors == 0
    assert result.p50 is not None
    assert result.p50 >= 20
    assert result.requests_per_second <= 4 / 0.02


async def test_counts_only_what_is_answered_within_the_window() -> None:
    async with serving(delay=0.05) as (server, url):
        result = await load.run(url, BODIES, 2, 0.2, warm_up=0.2)
    assert 0 < result.requests < len(server.bodies)
    assert 0.2 <= result.seconds < 10
    assert result.requests_per_second == pytest.approx(result.answered / result.seconds)


async def test_slow_requests_count_by_the_part_of_their_time_that_lies_in_the_window() -> None:
    async with serving(delay=0.4) as (_, url):
        result = await load.run(url, BODIES, 3, 0.2, warm_up=0.1)
    assert result.requests == 0, "none has ended in it"
    assert result.answered == pytest.approx(3 * result.seconds / 0.4, rel=0.4)
    assert result.p50 is None


async def test_a_slow_server_is_waited_for_but_not_for_ever() -> None:
    async with serving(delay=0.1) as (_, url):
        result = await load.run(url, BODIES, 2, 0.01, least=4)
        assert result.requests >= 4
        result = await load.run(url, BODIES, 2, 0.01, least=1000, longest=0.25)
        assert 0.25 <= result.seconds < 10


async def test_what_comes_too_late_is_an_error() -> None:
    async with serving(delay=60) as (_, url):
        start = time.perf_counter()
        late = await load.run(url, BODIES, 2, 0.05, patience=0.01)
        assert time.perf_counter() - start < 30
    assert late.errors == 2
    assert late.answered == 0


async def test_texts_a_second_count_the_texts_of_a_request() -> None:
    async with serving() as (_, url):
        result = await load.run(url, BODIES, 1, 0.1, texts_each=32)
    assert result.texts_per_second == pytest.approx(32 * result.requests_per_second)


async def test_the_meter_is_read_as_the_window_opens_and_as_it_closes() -> None:
    readings = iter((10.0, 12.5))
    async with serving() as (_, url):
        result = await load.run(url, BODIES, 1, 0.05, meter=lambda: next(readings))
    assert result.cpu is not None
    assert 0 < result.cpu <= 2.5, "the part of it that lies in the window"


async def test_chunked_answers_are_read_to_their_end() -> None:
    async with serving(lambda _: CHUNKED) as (_, url):
        result = await load.run(url, BODIES, 2, 0.1)
    assert result.requests > 0
    assert result.errors == 0


async def test_refusals_and_lost_connections_are_errors_and_no_answers() -> None:
    answers = [OK, BUSY, HANG_UP]
    async with serving(lambda number: answers[number % 3], delay=0.005) as (_, url):
        result = await load.run(url, BODIES, 1, 0.5)
    assert result.requests > 0
    assert result.errors == pytest.approx(2 * result.requests, abs=2)


async def test_a_server_that_is_not_there_gives_errors_and_ends_in_time() -> None:
    async with serving() as (_, url):
        pass
    result = await load.run(url, BODIES, 2, 0.2)
    assert result.requests == 0
    assert result.errors > 0
    assert result.p50 is None


def test_an_answer_whose_end_cannot_be_told_is_refused() -> None:
    with pytest.raises(ValueError, match="without a length"):
        load.status_of(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[]")


@pytest.mark.parametrize("answer", [OK, CHUNKED, BUSY])
def test_an_answer_is_whole_at_its_last_byte(answer: bytes) -> None:
    assert [load.status_of(answer[:end]) for end in range(len(answer))] == [None] * len(answer)
    assert load.status_of(answer) in (200, 503)


def test_percentiles_of_few_values() -> None:
    assert load.percentile([], 0.5) is None
    assert load.percentile([1.0], 0.99) == 1.0
    assert load.percentile(list(range(100)), 0.95) == 95


def test_texts_differ_and_lists_are_full() -> None:
    assert len({piece[0] for piece in load.pieces(1)}) == 2000
    lists = [json.loads(body)["input"] for body in load.bodies("input", 32)]
    assert {len(one) for one in lists} == {32}
    assert len({text for one in lists for text in one}) == 32 * len(lists)
    assert len({len(text) for text in lists[0]}) > 10


def test_the_command_prints_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    load.main(["http://127.0.0.1:9/", "--concurrency", "1", "--seconds", "0", "--warm-up", "0"])
    assert json.loads(capsys.readouterr().out)["concurrency"] == 1
