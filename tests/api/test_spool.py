import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.room import Room
from serve_app.api.spool import Spool, SpoolFullError


@given(st.lists(st.one_of(st.binary(max_size=200_000).map(lambda b: b), st.none()), max_size=20))
def test_what_goes_in_comes_out_in_order(steps: list[bytes | None]) -> None:
    """A piece is a write, None a read."""

    async def go() -> tuple[bytes, bytes]:
        spool = Spool(250_000, Room(10**9))
        wrote, read = b"", b""
        for step in steps:
            if step is None:
                if spool.waiting:
                    read += await spool.read()
            else:
                while spool.waiting + len(step) > 250_000:
                    read += await spool.read()
                spool.write(step)
                wrote += step
        spool.end()
        while piece := await spool.read():
            read += piece
        spool.close()
        return wrote, read

    wrote, read = asyncio.run(go())
    assert wrote == read


async def test_the_reader_waits_for_the_writer() -> None:
    spool = Spool(100, Room(10**9))
    reading = asyncio.create_task(spool.read())
    await asyncio.sleep(0)
    assert not reading.done()
    spool.write(b"now")
    assert await reading == b"now"


async def test_the_limit_is_on_what_waits() -> None:
    spool = Spool(10, Room(10**9))
    for _ in range(5):
        spool.write(b"12345678")
        assert await spool.read() == b"12345678"
    spool.write(b"12345678")
    with pytest.raises(SpoolFullError):
        spool.write(b"123")


async def test_the_file_is_no_longer_than_what_may_wait() -> None:
    spool = Spool(100, Room(10**9))
    spool.write(b"x" * 60)
    for _ in range(50):  # the reader never catches up
        spool.write(b"y" * 40)
        await spool.read()
        spool.write(b"z" * (100 - spool.waiting - 40))
    assert os.fstat(spool._file.fileno()).st_size <= 100


async def test_spools_share_a_room_and_give_it_back() -> None:
    room = Room(100)
    first, second = Spool(80, room), Spool(80, room)
    first.write(b"x" * 70)
    second.write(b"y" * 30)
    with pytest.raises(OSError, match="No space left"):
        second.write(b"y")
    await first.read()
    with pytest.raises(OSError, match="No space left"):
        second.write(b"y")  # what was read still takes disk
    first.write(b"x")  # begins its file anew
    second.write(b"y" * 50)
    first.close()
    second.close()
    assert room._left == 100


async def test_a_failure_is_told_after_what_was_written() -> None:
    spool = Spool(10, Room(10**9))
    spool.write(b"rest")
    spool.end(OSError("full"))
    assert await spool.read() == b"rest"
    with pytest.raises(OSError, match="full"):
        await spool.read()
