"""One question for all who ask at the same time."""

import asyncio
import contextvars

import pytest

from serve_app.api.shared import Shared


class Source:
    def __init__(self) -> None:
        self.asked = 0
        self.fault: Exception | None = None
        self.may_answer = asyncio.Event()

    async def ask(self) -> int:
        self.asked += 1
        await self.may_answer.wait()
        if self.fault:
            raise self.fault
        return self.asked


async def test_all_who_ask_at_once_share_one_answer() -> None:
    source = Source()
    shared = Shared(source.ask, 3600)
    asking = [asyncio.create_task(shared.get()) for _ in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    source.may_answer.set()
    assert await asyncio.gather(*asking[1:]) == [1] * 9
    assert asking[0].cancelled()
    assert await shared.get() == 1


async def test_the_question_is_in_nobodys_context() -> None:
    """Ray would cancel it with the request of the first who asked."""
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")

    async def ask() -> str:
        return request.get()

    request.set("the first")
    assert await Shared(ask, 3600).get() == "none"


async def test_what_was_cancelled_is_asked_again() -> None:
    source = Source()
    shared = Shared(source.ask, 3600)
    asking = asyncio.create_task(shared.get())
    for _ in range(3):
        await asyncio.sleep(0)
    assert source.asked == 1
    assert shared._asking is not None
    shared._asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    source.may_answer.set()
    assert await shared.get() == 2


async def test_an_old_answer_is_asked_for_again_and_a_fault_is_kept_no_longer() -> None:
    source = Source()
    source.may_answer.set()
    shared = Shared(source.ask, 0)
    source.fault = TimeoutError()
    with pytest.raises(TimeoutError):
        await shared.get()
    source.fault = None
    assert [await shared.get() for _ in range(2)] == [2, 3]
