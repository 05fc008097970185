"""Links over real sockets, against a replica that answers [length of the text] when it is let."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import numpy as np
import pytest

from serve_app.lane import Dropped
from serve_app.link_protocol import Address
from serve_app.link_server import LinkServer
from serve_app.links import Link, LinkError, Links, RemoteError
from serve_app.messages import Call, Reply

HOST = "127.0.0.1"


def call(*texts: str) -> Call:
    return Call(
        requests=[list(texts)], ingress="i", waiting=0.5, flows=(7,), traces=("t",), ids=("i",)
    )


class Replica:
    """A link server, and what came through it."""

    def __init__(self, name: str = "a") -> None:
        self.name = name
        self.server = LinkServer(self.answer)
        self.address: Address
        self.calls: list[Call] = []
        self.came = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def open(self) -> "Replica":
        self.address = await self.server.open(self.name, HOST)
        return self

    async def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        self.came.set()
        await self.may_answer.wait()
        texts = [text for request in call.requests for text in request]
        if "fault" in texts:
            raise RuntimeError("no such model")
        return Reply(
            replica=self.name,
            logits=np.array([[len(text), -1.0] for text in texts], dtype=np.float32),
            queue=np.full(len(texts), 0.25, dtype=np.float32),
            inference=np.full(len(texts), 0.5, dtype=np.float32),
            batch_size=np.full(len(texts), 3, dtype=np.int32),
            truncated=[0],
            errors={1: "bad"},
            tokenize=0.125,
        )


@pytest.fixture
async def replica() -> AsyncIterator[Replica]:
    replica = await Replica().open()
    yield replica
    replica.may_answer.set()
    await asyncio.wait_for(replica.server.close(), 10)


@pytest.fixture
async def links() -> AsyncIterator[Links]:
    links = Links()
    yield links
    await links.reach([])


async def reach(links: Links, *replicas: Replica) -> Link:
    await links.reach([replica.address for replica in replicas])
    link = links.least_busy()
    assert link is not None
    return link


async def under_way(
    links: Links, replica: Replica, dropped: Dropped | None = None
) -> tuple[Link, "asyncio.Future[Reply]"]:
    """A link and a call on it that the replica has and may not answer yet."""
    link = await reach(links, replica)
    replica.may_answer.clear()
    asked = asyncio.ensure_future(link.call(call("word"), dropped))
    await replica.came.wait()
    return link, asked


async def said(host: str, port: int, *messages: Any) -> bytes:
    """What a replica says to them before it hangs up."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"".join(map(msgpack.packb, messages)))
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def until_closed(link: Link) -> None:
    async with asyncio.timeout(10):
        while link.open:  # noqa: ASYNC110 the link has no event for it
            await asyncio.sleep(0.001)


async def test_a_call_and_its_reply_arrive_as_they_were_sent(
    replica: Replica, links: Links
) -> None:
    link = await reach(links, replica)
    sent = call("wörd", "bad", "half a pair: \ud83d", "nul: \x00")
    reply = await link.call(sent)
    assert replica.calls == [sent]
    assert reply.replica == "a"
    np.testing.assert_array_equal(reply.logits, [[4, -1], [3, -1], [14, -1], [6, -1]])
    np.testing.assert_array_equal(reply.queue, [0.25] * 4)
    np.testing.assert_array_equal(reply.inference, [0.5] * 4)
    np.testing.assert_array_equal(reply.batch_size, [3] * 4)
    assert (reply.truncated, reply.errors, reply.tokenize) == ([0], {1: "bad"}, 0.125)


async def test_replies_find_their_calls_in_any_order(links: Links) -> None:
    gates = {"a": asyncio.Event(), "bb": asyncio.Event()}

    class Slow(Replica):
        async def answer(self, call: Call) -> Reply:
            await gates[call.requests[0][0]].wait()
            return await super().answer(call)

    replica = await Slow().open()
    link = await reach(links, replica)
    first, second = (asyncio.ensure_future(link.call(call(text))) for text in gates)
    await asyncio.sleep(0)
    gates["bb"].set()
    assert (await second).logits[0, 0] == 2
    assert not first.done()
    assert link.calls == 1
    gates["a"].set()
    assert (await first).logits[0, 0] == 1
    assert link.calls == 0
    await links.reach([])
    await replica.server.close()


async def test_a_failure_is_told_and_the_link_goes_on(replica: Replica, links: Links) -> None:
    link = await reach(links, replica)
    with pytest.raises(RemoteError, match="no such model"):
        await link.call(call("fault"))
    assert (await link.call(call("word"))).logits[0, 0] == 4


async def test_a_panic_is_told_and_holds_nothing_up(
    replica: Replica, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a tokenizer written in Rust are no `Exception`."""

    class PanicError(BaseException):
        pass

    async def panic(_: Call) -> Reply:
        raise PanicError("called `unwrap` on nothing")

    monkeypatch.setattr(replica.server, "_answer", panic)
    link = await reach(links, replica)
    async with asyncio.timeout(10):
        with pytest.raises(RemoteError, match="unwrap"):
            await link.call(call("word"))
    assert link.calls == 0


async def test_without_the_token_nobody_calls(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    _, host, port, token = replica.address
    for guess in ("", token[:-1], token + "0", None, 7, token.encode(), [1, call("word").pack()]):
        assert await said(host, port, guess, [1, call("word " * 20).pack()]) == b""
    assert replica.calls == []
    assert "not our token" in caplog.text
    assert token not in caplog.text


@pytest.mark.parametrize(
    "begun",
    [
        b"\xdb\xff\xff\xff\xff" + b"x" * 5000,  # a text of four gigabytes
        b"\xdd\x1f\xff\xff\xff" * 20,  # lists of 537 million within each other
        b"\xdd\x00\x01\x86\xa0" * 800,  # of 100,000, for which room would be made
    ],
)
async def test_a_stranger_fills_no_memory(replica: Replica, begun: bytes) -> None:
    _, host, port, _ = replica.address
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(begun)
    async with asyncio.timeout(5):  # before it would be sent away for its silence
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_the_token_may_come_byte_by_byte_and_a_call_with_its_end(replica: Replica) -> None:
    _, host, port, token = replica.address
    reader, writer = await asyncio.open_connection(host, port)
    packed = msgpack.packb(token) + msgpack.packb([1, call("word").pack()])
    for at in range(50):
        writer.write(packed[at : at + 1])
        await writer.drain()
    writer.write(packed[50:])
    async with asyncio.timeout(10):
        await replica.came.wait()
        assert await reader.read(1)
    writer.close()


async def test_a_stranger_who_says_nothing_is_sent_away(
    replica: Replica, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.link_server.STRANGER_S", 0.1)
    link = await reach(links, replica)
    _, host, port, _ = replica.address
    reader, writer = await asyncio.open_connection(host, port)
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()
    assert (await link.call(call("word"))).logits[0, 0] == 4, "who has the token stays"


async def test_what_is_no_message_ends_its_own_connection_alone(
    replica: Replica, links: Links
) -> None:
    link = await reach(links, replica)
    _, host, port, token = replica.address
    for garbage in ([1, [2]], 5, {"a": 1}, [1, call("word").pack(), 3]):
        assert await said(host, port, token, garbage) == b""
    assert replica.calls == []
    assert (await link.call(call("word"))).logits[0, 0] == 4


async def test_a_replica_that_dies_fails_its_calls_at_once(replica: Replica, links: Links) -> None:
    link, asked = await under_way(links, replica)
    link.transport.abort()  # what the kernel does to the sockets of a process that is killed
    with pytest.raises(LinkError):
        await asyncio.wait_for(asked, 10)
    assert links.least_busy() is None
    with pytest.raises(LinkError):
        await asyncio.wait_for(link.call(call("word")), 10)


async def test_a_replica_ends_when_its_clients_have_their_answers(links: Links) -> None:
    replica = await Replica().open()
    link, asked = await under_way(links, replica)
    closing = asyncio.ensure_future(replica.server.close())
    await until_closed(link)
    assert links.least_busy() is None  # it is sent nothing more
    assert not closing.done()
    replica.may_answer.set()
    assert (await asked).logits[0, 0] == 4
    await asyncio.wait_for(closing, 10)
    await links.reach([replica.address])  # nobody listens there now
    assert links.least_busy() is None


async def test_an_ingress_that_knocked_before_and_comes_in_after_is_told_too() -> None:
    replica = await Replica().open()
    _, host, port, token = replica.address
    reader, writer = await asyncio.open_connection(host, port)
    await asyncio.wait_for(replica.server.close(), 10)
    writer.write(msgpack.packb(token))
    assert await asyncio.wait_for(reader.read(100), 10) == msgpack.packb([None])
    writer.close()


async def test_an_ingress_that_goes_does_not_keep_a_replica(links: Links) -> None:
    replica = await Replica().open()
    link = await reach(links, replica)
    link.transport.abort()
    await asyncio.wait_for(replica.server.close(), 10)


async def test_a_caller_who_stops_waiting_harms_nobody(replica: Replica, links: Links) -> None:
    link, asked = await under_way(links, replica)
    asked.cancel()
    replica.may_answer.set()
    assert (await link.call(call("words"))).logits[0, 0] == 5
    assert link.calls == 0


async def test_calls_go_where_the_fewest_are(links: Links) -> None:
    replicas = [await Replica(name).open() for name in "abc"]
    await reach(links, *replicas)
    for replica in replicas:
        replica.may_answer.clear()
    calls = []
    for _ in range(6):
        link = links.least_busy()
        assert link is not None
        calls.append(asyncio.ensure_future(link.call(call("word"))))
        await asyncio.sleep(0)
    for replica in replicas:
        replica.may_answer.set()
    await asyncio.gather(*calls)
    assert [len(replica.calls) for replica in replicas] == [2, 2, 2]
    await links.reach([])
    for replica in replicas:
        await asyncio.wait_for(replica.server.close(), 10)


async def test_a_replica_that_ray_no_longer_names_answers_what_it_has(
    replica: Replica, links: Links
) -> None:
    _, asked = await under_way(links, replica)
    await links.reach([])
    assert links.least_busy() is None
    replica.may_answer.set()
    assert (await asked).logits[0, 0] == 4


async def test_a_call_that_is_dropped_is_worked_on_no_longer(
    replica: Replica, links: Links
) -> None:
    dropped = asyncio.get_running_loop().create_future()
    link, asked = await under_way(links, replica, dropped)
    dropped.set_result(None)
    with pytest.raises(RemoteError, match="dropped"):
        await asyncio.wait_for(asked, 10)
    assert replica.server._calls == {}
    assert link.calls == 0
    replica.may_answer.set()
    assert (await link.call(call("words"))).logits[0, 0] == 5


async def test_the_calls_of_an_ingress_that_goes_are_worked_on_no_longer(
    replica: Replica, links: Links
) -> None:
    link, asked = await under_way(links, replica)
    link.transport.abort()
    with pytest.raises(LinkError):
        await asked
    async with asyncio.timeout(10):
        while replica.server._calls:  # noqa: ASYNC110 the server has no event for it
            await asyncio.sleep(0.001)
