"""Which way a call takes, and what becomes of it when replicas die; the links are real."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Generator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.serve.exceptions import BackPressureError, RequestCancelledError

from serve_app import caller
from serve_app.caller import Caller
from serve_app.dispatcher import BackendError
from serve_app.lane import Dropped
from serve_app.link_protocol import Address
from serve_app.link_server import LinkServer
from serve_app.messages import Call, Reply
from serve_app.request import REQUEST_ID
from tests.notes import Notes

CALL = Call(requests=[["word"]], ingress="i", waiting=0.0)


def never() -> Dropped:
    """Somebody waits for the call to its end."""
    return asyncio.get_running_loop().create_future()


def reply(replica: str) -> Reply:
    ones = np.ones(1, dtype=np.float32)
    return Reply(replica, ones[None], ones, ones, ones.astype(np.int32), [], {}, 0.0)


class Replica:
    def __init__(self, name: str) -> None:
        self.name = name
        self.server = LinkServer(self.answer)
        self.calls = 0
        self.fault: Exception | None = None

    async def answer(self, call: Call) -> Reply:
        self.calls += 1
        if self.fault:
            raise self.fault
        return reply(self.name)


class Response:
    """What Ray's handle gives for a call: awaited, or cancelled."""

    def __init__(self, answering: Coroutine[Any, Any, Reply]) -> None:
        self._task = asyncio.ensure_future(answering)

    def cancel(self) -> None:
        self._task.cancel()

    def __await__(self) -> Generator[Any, None, Reply]:
        try:
            return (yield from self._task.__await__())
        except asyncio.CancelledError:
            raise RequestCancelledError("the request's id") from None


class Handle:
    """What `Caller` uses of Ray's: a call to one replica, and one to all of them."""

    def __init__(
        self, addresses: list[Any], *answers: Reply | Exception | asyncio.Future[Reply]
    ) -> None:
        self.addresses = addresses
        self.answers = list(answers)
        self.looks = 0
        self.looked_for: set[str] = set()
        """The requests in whose context it was."""
        self.infer = SimpleNamespace(remote=lambda call: Response(self._infer(call)))

    async def _infer(self, call: Call) -> Reply:
        answer = self.answers.pop(0)
        if isinstance(answer, asyncio.Future):
            return await answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def broadcast(self, method: str) -> Any:
        assert method == "address"
        return SimpleNamespace(results_async=self._addresses)

    async def _addresses(self, *, timeout_s: float, return_exceptions: bool) -> list[Any]:
        self.looks += 1
        self.looked_for.add(REQUEST_ID.get())
        return list(self.addresses)


class Backend:
    """Replicas with their link servers, and callers of them."""

    def __init__(self) -> None:
        self.replicas: list[Replica] = []
        self.callers: list[Caller] = []

    async def replica(self, name: str) -> tuple[Replica, Address]:
        self.replicas.append(Replica(name))
        return self.replicas[-1], await self.replicas[-1].server.open(name, "127.0.0.1")

    def caller(self, handle: Handle) -> Caller:
        self.callers.append(Caller(handle, "onnx", Notes()))
        return self.callers[-1]


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    backend = Backend()
    yield backend
    for call in backend.callers:
        await call._links.reach([])
    for replica in backend.replicas:
        await asyncio.wait_for(replica.server.close(), 10)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "LOOK_S", 0.0)


async def found(call: Caller) -> None:
    """Wait until the replicas have been looked for."""
    async with asyncio.timeout(10):
        while call._looking is not None:  # noqa: ASYNC110 there is no event for it
            await asyncio.sleep(0.001)


async def test_the_first_call_goes_by_the_handle_and_the_next_on_a_link(backend: Backend) -> None:
    _, address = await backend.replica("a")
    call = backend.caller(Handle([address], reply("by handle")))
    assert (await call(CALL, never())).replica == "by handle"
    await found(call)
    assert [(await call(CALL, never())).replica for _ in range(3)] == ["a"] * 3


async def test_a_call_by_the_handle_that_nobody_waits_for_is_cancelled(backend: Backend) -> None:
    """Ray's router keeps calls for replicas that are away, and makes them once they are back."""
    answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    dropped = never()
    asked = asyncio.ensure_future(backend.caller(Handle([], answer))(CALL, dropped))
    await asyncio.sleep(0.01)
    assert not asked.done()
    dropped.set_result(None)
    with pytest.raises(BackendError, match="nobody waits"):
        await asyncio.wait_for(asked, 10)
    assert answer.cancelled()


async def test_where_no_link_can_be_had_the_handle_goes_on(
    backend: Backend, often: None, caplog: pytest.LogCaptureFixture
) -> None:
    replica, address = await backend.replica("a")
    await replica.server.close()
    lost = ValueError("this replica could not say where it is")
    handle = Handle([address, lost, None], *[reply("by handle")] * 3)
    call = backend.caller(handle)
    for looks in (1, 2, 3):
        assert (await call(CALL, never())).replica == "by handle"
        await found(call)
        assert handle.looks == looks
    assert caplog.text.count("no link to replica a") == 1


async def test_what_looking_for_replicas_logs_is_of_no_request(backend: Backend) -> None:
    handle = Handle([], reply("by handle"))
    call = backend.caller(handle)
    REQUEST_ID.set("innocent")
    await call(CALL, never())
    await found(call)
    assert handle.looked_for == {""}


async def test_while_nobody_calls_nobody_is_looked_for(backend: Backend) -> None:
    _, address = await backend.replica("a")
    handle = Handle([address], reply("by handle"))
    call = backend.caller(handle)
    await call(CALL, never())
    await found(call)
    for _ in range(10):
        await call(CALL, never())
    assert handle.looks == 1


async def test_a_call_that_dies_with_its_replica_is_made_again(
    backend: Backend, often: None
) -> None:
    (first, at), (_, elsewhere) = [await backend.replica(name) for name in "ab"]
    call = backend.caller(Handle([at, elsewhere], reply("by handle")))
    await call(CALL, never())
    await found(call)

    async def die(_: Call) -> Reply:
        for peer in list(first.server._peers):
            peer.transport.abort()
        raise AssertionError("nobody hears of it")

    first.server._answer = die
    answers = [await call(CALL, never()) for _ in range(4)]
    assert {answer.replica for answer in answers} == {"b"}


async def test_replicas_that_die_one_after_the_other_fail_the_call(backend: Backend) -> None:
    dead = [ActorDiedError(), ActorDiedError(), ActorDiedError()]
    handle = Handle([], *dead, reply("too late"))
    with pytest.raises(BackendError, match="replicas died"):
        await backend.caller(handle)(CALL, never())
    assert len(handle.answers) == 1


async def test_one_that_dies_is_no_failure(backend: Backend) -> None:
    assert (
        await backend.caller(Handle([], ActorDiedError(), reply("b")))(CALL, never())
    ).replica == "b"


async def test_what_the_replica_says_of_its_failure_is_told_and_not_repeated(
    backend: Backend,
) -> None:
    replica, address = await backend.replica("a")
    call = backend.caller(Handle([address], reply("by handle")))
    await call(CALL, never())
    await found(call)
    replica.fault = RuntimeError("no such model")
    with pytest.raises(BackendError, match="no such model"):
        await call(CALL, never())
    assert replica.calls == 1


async def test_a_full_replica_is_said_to_be_full(backend: Backend) -> None:
    full = BackPressureError(num_queued_requests=5, max_queued_requests=5)
    with pytest.raises(BackendError):
        await backend.caller(Handle([], full))(CALL, never())


async def test_of_a_failure_by_the_handle_no_traceback_is_told(backend: Backend) -> None:
    fault = RayTaskError("infer", "Traceback: File /a/path.py", RuntimeError("no such model"))
    with pytest.raises(BackendError, match=r"^no such model$"):
        await backend.caller(Handle([], fault.as_instanceof_cause()))(CALL, never())


async def test_what_nobody_waits_for_is_not_called_again(backend: Backend) -> None:
    handle = Handle([], ActorDiedError(), reply("too late"))
    dropped = never()
    call = backend.caller(handle)
    dropped.set_result(None)
    with pytest.raises(BackendError, match="nobody waits"):
        await call(CALL, dropped)
    assert len(handle.answers) == 2
