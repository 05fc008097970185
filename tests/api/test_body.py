"""Bodies that do not come as they should."""

import asyncio
import json

import pytest
from starlette.requests import Request
from starlette.types import Message

from serve_app.api.body import MOST_PARTS, parse, read
from serve_app.api.errors import ProblemError
from serve_app.api.room import Room
from serve_app.request import REQUEST_ID
from tests.api.log import logged


def request(*messages: Message) -> Request:
    """One whose client sends these and then nothing more."""
    left = list(messages)

    async def receive() -> Message:
        if left:
            return left.pop(0)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def part(data: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


async def test_a_body_comes_in_parts() -> None:
    assert await read(request(part(b"a", True), part(b"b", False)), 2, Room(9)) == b"ab"


async def test_one_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.api.body.ARRIVAL_S", 0.01)
    with pytest.raises(ProblemError, match="did not end within") as refused:
        await read(request(part(b"a", True)), 2, Room(9))
    assert refused.value.kind.status == 400


async def test_a_client_that_hangs_up_is_no_fault_of_the_service() -> None:
    with pytest.raises(ProblemError) as refused:
        await read(request(part(b"a", True), {"type": "http.disconnect"}), 2, Room(9))
    assert refused.value.kind.status == 400


async def test_bodies_on_their_way_have_a_bound_together() -> None:
    room = Room(10)
    slow = asyncio.create_task(read(request(part(b"x" * 6, True)), 8, room))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    REQUEST_ID.set("one-too-many")
    with logged() as lines, pytest.raises(ProblemError) as refused:
        await read(request(part(b"x" * 6, False)), 8, room)
    assert lines == ["request one-too-many: no room for its body"]
    assert refused.value.kind.status == 503
    assert refused.value.headers["Retry-After"] == "1"
    slow.cancel()
    await asyncio.wait({slow})
    assert await read(request(part(b"x" * 8, False)), 8, room) == b"x" * 8
    room.take(10)  # all is given back


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"input": NaN}', "not JSON: unexpected character"),
        ('{"input": "a"}'.encode("utf-16"), "it is not UTF-8, invalid start byte at byte 0"),
        (b'{"input": "caf\xe9"}', "it is not UTF-8, invalid continuation byte at byte 14"),
    ],
)
def test_what_is_no_json_is_told_why(body: bytes, says: str) -> None:
    with pytest.raises(ProblemError, match=says):
        parse(body)


@pytest.mark.parametrize("part", ["[],", "{},", '"",', "0,", "[[[]]],", '{"a":"\\ud800"},'])
def test_a_large_body_of_little_else_than_commas_is_not_parsed(part: str) -> None:
    body = '{"input": [' + part * (MOST_PARTS + 1) + "0]}"
    with pytest.raises(ProblemError, match="more than 200000 strings and bytes between them"):
        parse(body.encode())


@pytest.mark.parametrize("text", ["[],", '"', "\\", "\n", "\ud800[", "it is, and"])
def test_a_text_may_hold_whatever_it_likes(text: str) -> None:
    body = {"input": [text * (MOST_PARTS // 2)] * 5}
    assert parse(json.dumps(body).encode()) == body


def test_a_byte_order_mark_and_lone_surrogates_pass() -> None:
    assert parse(b'\xef\xbb\xbf{"input": "a"}') == {"input": "a"}
    assert parse(b'{"input": "\\ud800"}') == {"input": "\ud800"}
