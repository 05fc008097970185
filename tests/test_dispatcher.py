"""The dispatcher against a replica that answers [length of the text] when it is let."""

import asyncio
import gc
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest

from serve_app.dispatcher import BackendError, Dispatcher, OverloadedError
from serve_app.lane import Dropped
from serve_app.messages import Call, Reply
from serve_app.rate import Rate
from serve_app.request import REQUEST_ID, Answers


class Replica:
    def __init__(self, names: Sequence[str] = ("a",)) -> None:
        self.calls: list[Call] = []
        self.dropped: list[Dropped] = []
        self.names = names
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.fault: Exception | None = None

    async def __call__(self, call: Call, dropped: Dropped) -> Reply:
        self.calls.append(call)
        self.dropped.append(dropped)
        await self.may_answer.wait()
        if self.fault:
            raise self.fault
        texts = [text for request in call.requests for text in request]
        return Reply(
            replica=self.names[len(self.calls) % len(self.names)],
            logits=np.array([[len(text)] for text in texts], dtype=np.float32),
            queue=np.ones(len(texts), dtype=np.float32),
            inference=np.ones(len(texts), dtype=np.float32),
            batch_size=np.ones(len(texts), dtype=np.int32),
            truncated=[row for row, text in enumerate(texts) if len(text) > 99],
            errors={row: "bad" for row, text in enumerate(texts) if text == "bad"},
            tokenize=0.5,
        )


def dispatcher(
    replica: Replica,
    max_texts: int = 10_000,
    max_requests: int = 10_000,
    max_characters: int = 1_000_000,
    linked: Callable[[], int] = lambda: 0,
) -> Dispatcher:
    return Dispatcher(
        replica,
        backend="onnx",
        ingress="i",
        texts_per_call=8,
        calls_per_replica=2,
        max_texts=max_texts,
        max_requests=max_requests,
        max_characters=max_characters,
        linked=linked,
    )


def rows(answers: Answers) -> list[float]:
    return [float(row[0]) for row in answers.logits]


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def called(replica: Replica, times: int) -> None:
    """Wait until so many calls have come."""
    async with asyncio.timeout(10):
        while len(replica.calls) < times:  # noqa: ASYNC110 the dispatcher has no event for it
            await asyncio.sleep(0.001)


async def test_each_request_gets_its_own_rows_in_order() -> None:
    replica = Replica()
    it = dispatcher(replica)
    requests = [["x" * (n + m) for m in range(1, 2 + n % 23)] for n in range(1, 120)]
    answers = await asyncio.gather(*(it.infer(texts, 10) for texts in requests))
    assert [rows(answer) for answer in answers] == [
        [len(text) for text in texts] for texts in requests
    ]
    assert it.waiting == 0


async def test_texts_that_arrive_together_ride_in_one_call() -> None:
    replica = Replica()
    it = dispatcher(replica)
    await asyncio.gather(*(it.infer(["x"], 10) for _ in range(8)))
    assert [sum(map(len, call.requests)) for call in replica.calls] == [8]


async def test_few_calls_are_in_flight_and_the_next_carries_what_waits() -> None:
    replica = Replica()
    it = dispatcher(replica)
    replica.may_answer.clear()
    tasks = [asyncio.create_task(it.infer(["x"] * 100, 10))]
    await called(replica, 2)
    single = asyncio.create_task(it.infer(["single"], 10))
    await settle()
    assert len(replica.calls) == 3, (
        "two calls of the list, and a short request has a lane of its own"
    )
    assert ["single"] in replica.calls[2].requests
    replica.may_answer.set()
    await asyncio.gather(*tasks, single)


async def test_a_single_text_shares_no_call_with_a_list() -> None:
    replica = Replica()
    it = dispatcher(replica)
    replica.may_answer.clear()
    tasks = [asyncio.create_task(it.infer(["long"] * 200, 10))]
    await called(replica, 2)
    for n in range(2):
        tasks.append(asyncio.create_task(it.infer([f"single {n}"], 10)))
        await called(replica, 3 + n)
    for call in replica.calls[2:]:
        assert [len(request) for request in call.requests] == [1]
    assert len({flow for call in replica.calls[:2] for flow in call.flows}) == 1
    replica.may_answer.set()
    await asyncio.gather(*tasks)


async def test_a_full_queue_refuses_at_once_and_says_when_to_return() -> None:
    replica = Replica()
    it = dispatcher(replica, max_texts=10)
    replica.may_answer.clear()
    waiting = asyncio.create_task(it.infer(["x"] * 10, 10))
    await settle()
    with pytest.raises(OverloadedError) as refused:
        await it.infer(["x"] * 9, 10)
    assert refused.value.retry_after >= 1
    replica.may_answer.set()
    await waiting
    assert rows(await it.infer(["x"], 10)) == [1]


async def test_too_many_requests_are_refused_however_few_their_texts() -> None:
    replica = Replica()
    it = dispatcher(replica, max_requests=2)
    replica.may_answer.clear()
    waiting = [asyncio.create_task(it.infer(["x"], 10)) for _ in range(2)]
    await settle()
    with pytest.raises(OverloadedError):
        await it.infer(["x"], 10)
    replica.may_answer.set()
    await asyncio.gather(*waiting)
    assert rows(await it.infer(["x"], 10)) == [1]


async def test_the_room_there_is_counts_requests_and_the_texts_of_short_ones() -> None:
    replica = Replica()
    it = dispatcher(replica, max_texts=12, max_requests=5)
    assert it.room(10) == 5
    replica.may_answer.clear()
    waiting = [asyncio.create_task(it.infer(["x"] * 9, 10))]
    await settle()
    assert it.room(10) == 4, "long requests take none of the room for short ones' texts"
    waiting.append(asyncio.create_task(it.infer(["x"] * 8, 10)))
    await settle()
    assert it.room(10) == 3
    waiting.append(asyncio.create_task(it.infer(["x"] * 3, 10)))
    await settle()
    assert it.room(10) == 1
    waiting.append(asyncio.create_task(it.infer(["x"], 10)))
    await settle()
    assert it.room(10) == 0
    with pytest.raises(OverloadedError) as refused:
        it.require_room(1, 10)
    assert refused.value.retry_after == it.retry_after(1, 10) >= 1
    replica.may_answer.set()
    await asyncio.gather(*waiting)
    assert it.room(10) == 5


async def test_short_requests_that_could_not_be_answered_in_time_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replica = Replica()
    it = dispatcher(replica)
    monkeypatch.setattr(Rate, "per_second", 5.0)
    replica.may_answer.clear()
    waiting = [asyncio.create_task(it.infer(["x"], 10)) for _ in range(47)]
    await settle()
    assert it.room(10) == 3, "of 50 in ten seconds"
    assert it.room(20) == 53
    with pytest.raises(OverloadedError):
        await it.infer(["x"] * 4, 10)
    waiting.append(asyncio.create_task(it.infer(["x"] * 3, 10)))
    waiting.append(asyncio.create_task(it.infer(["x"] * 256, 10)))
    await settle()
    assert it.room(10) == 0
    assert it.room(0.1) == 0
    replica.may_answer.set()
    await asyncio.gather(*waiting)
    assert it.room(0.1) == 8, "however slow it is, some may wait"


async def test_long_texts_are_refused_before_they_fill_the_memory() -> None:
    replica = Replica()
    it = dispatcher(replica, max_characters=100)
    replica.may_answer.clear()
    waiting = [asyncio.create_task(it.infer(["x" * 60], 10))]
    await settle()
    with pytest.raises(OverloadedError):
        await it.infer(["x" * 41], 10)
    waiting.append(asyncio.create_task(it.infer(["x" * 40], 10)))
    await settle()
    assert it.room(10) > 0
    replica.may_answer.set()
    await asyncio.gather(*waiting)
    replica.may_answer.clear()
    alone = asyncio.create_task(it.infer(["x" * 101], 10))
    await settle()
    assert it.room(10) == 0
    replica.may_answer.set()
    assert rows(await alone) == [101], "alone it is let in"


async def test_a_queue_that_fills_at_once_does_not_send_clients_away_for_long() -> None:
    replica = Replica()
    it = dispatcher(replica, max_texts=2000)
    replica.may_answer.clear()
    waiting = asyncio.create_task(it.infer(["x"] * 2000, 60))
    await settle()
    with pytest.raises(OverloadedError) as refused:
        await it.infer(["x"] * 9, 60)
    assert refused.value.retry_after == 20, "nothing was answered yet: a guess of 100 a second"
    with pytest.raises(OverloadedError) as refused:
        await it.infer(["x"] * 9, 5)
    assert refused.value.retry_after == 5, "by then all that wait are answered or dropped"
    replica.may_answer.set()
    await waiting


async def test_one_slow_text_does_not_send_a_later_burst_away_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replica = Replica()
    it = dispatcher(replica, max_texts=2000)
    replica.may_answer.clear()
    slow = asyncio.create_task(it.infer(["x"], 60))
    await called(replica, 1)
    late = time.monotonic() + 5
    clock = SimpleNamespace(monotonic=lambda: late, perf_counter=time.perf_counter)
    monkeypatch.setattr("serve_app.rate.time", clock)
    replica.may_answer.set()
    await slow
    replica.may_answer.clear()
    waiting = asyncio.create_task(it.infer(["x"] * 2000, 60))
    await settle()
    with pytest.raises(OverloadedError) as refused:
        await it.infer(["x"] * 9, 60)
    assert refused.value.retry_after == 20
    replica.may_answer.set()
    await waiting


async def test_where_nothing_is_answered_any_more_nobody_is_sent_away_for_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replica = Replica()
    it = dispatcher(replica, max_texts=2000)
    await it.infer(["x"] * 2000, 60)
    replica.may_answer.clear()
    waiting = asyncio.create_task(it.infer(["x"] * 2000, 60))
    await settle()
    now = time.monotonic()
    for silent, said in ((0.0, 20), (10.0, 60)):
        clock = SimpleNamespace(monotonic=lambda at=now + silent: at)
        monkeypatch.setattr("serve_app.rate.time", clock)
        with pytest.raises(OverloadedError) as refused:
            await it.infer(["x"] * 9, 60)
        assert refused.value.retry_after <= said
    assert refused.value.retry_after == 60, "the deadline: what answered before says nothing now"
    replica.may_answer.set()
    await waiting


async def test_lists_that_fill_the_queue_leave_room_for_single_texts() -> None:
    replica = Replica()
    it = dispatcher(replica, max_texts=100)
    replica.may_answer.clear()
    lists = asyncio.create_task(it.infer(["x"] * 100, 10))
    await settle()
    with pytest.raises(OverloadedError):
        await it.infer(["x"] * 9, 10)
    singles = [asyncio.create_task(it.infer(["x"], 10)) for _ in range(100)]
    await settle()
    with pytest.raises(OverloadedError):
        await it.infer(["x"], 10)
    replica.may_answer.set()
    assert len(await asyncio.gather(lists, *singles)) == 101


async def test_texts_of_those_who_hang_up_do_not_stay() -> None:
    replica = Replica()
    it = dispatcher(replica)
    replica.may_answer.clear()
    live = asyncio.create_task(it.infer(["live"] * 300, 60))
    await called(replica, 2)
    for _ in range(50):
        left = asyncio.create_task(it.infer(["dead"] * 200, 60))
        await settle()
        left.cancel()
        await settle()
    assert len(it._bulk) < 1000, "neither the memory has them nor is the autoscaler told of them"
    replica.may_answer.set()
    assert len(rows(await live)) == 300


async def test_a_replica_that_hangs_takes_no_places_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serve_app.dispatcher.REPLICA_SEEN_S", 0.05)
    hangs = asyncio.Event()
    replica = Replica()

    async def call(call: Call, dropped: Dropped) -> Reply:
        if ["hung"] in call.requests:
            await hangs.wait()
        return await replica(call, dropped)

    it = dispatcher(replica, linked=lambda: 2)
    it._call = call
    hung = []
    for _ in range(2):  # as many as a replica may have
        hung.append(asyncio.create_task(it.infer(["hung"], 60)))
        await settle()
    await asyncio.sleep(0.1)  # it is not seen any more
    async with asyncio.timeout(10):
        assert rows(await it.infer(["next"], 60)) == [4]
    hangs.set()
    await asyncio.gather(*hung)


async def test_a_request_larger_than_the_queue_is_let_in_when_it_is_empty() -> None:
    it = dispatcher(Replica(), max_texts=10)
    assert len(rows(await it.infer(["x"] * 50, 10))) == 50


async def test_a_timeout_gives_its_places_back() -> None:
    replica = Replica()
    it = dispatcher(replica)
    replica.may_answer.clear()
    blocked = [asyncio.create_task(it.infer(["x"] * 8, 10)) for _ in range(3)]
    await settle()
    with pytest.raises(TimeoutError):
        await it.infer(["late"] * 8, 0.5)
    replica.may_answer.set()
    await asyncio.gather(*blocked)
    carried = [text for call in replica.calls for request in call.requests for text in request]
    assert "late" not in carried, "what still waited was dropped"
    assert it.waiting == 0


async def test_a_client_that_hangs_up_harms_nobody() -> None:
    replica = Replica()
    it = dispatcher(replica)
    replica.may_answer.clear()
    gone = asyncio.create_task(it.infer(["gone"], 10))
    here = asyncio.create_task(it.infer(["here"], 10))
    await settle()
    gone.cancel()
    replica.may_answer.set()
    assert rows(await here) == [4]
    assert it.waiting == 0


async def test_a_dead_backend_fails_its_requests_and_the_next_is_served() -> None:
    replica = Replica()
    it = dispatcher(replica)
    replica.fault = RuntimeError("gone")
    with pytest.raises(BackendError, match="gone"):
        await it.infer(["x"] * 20, 10)
    replica.fault = None
    assert rows(await it.infer(["x"], 10)) == [1]


class Text(str):
    """One that can be referred to weakly."""


async def test_what_failed_is_gone_without_the_garbage_collector() -> None:
    """It runs seldom: of hundreds of failed requests the texts would still be there."""
    replica = Replica()
    replica.fault = BackendError("gone")
    text = Text("a")
    left = weakref.ref(text)
    gc.collect()
    gc.disable()
    try:
        with suppress(BackendError):
            await dispatcher(replica).infer([text], 10)
        replica.calls.clear()
        replica.fault = None
        del text
        await settle()
        assert left() is None
    finally:
        gc.enable()


async def test_one_failed_text_is_told_by_its_index() -> None:
    answers = await dispatcher(Replica()).infer(["good", "bad", "y" * 100], 10)
    assert answers.errors == {1: "bad"}
    assert answers.truncated == 1


async def test_calls_grow_with_the_replicas_that_answer() -> None:
    replica = Replica(names=("a", "b", "c"))
    it = dispatcher(replica)
    await asyncio.gather(*(it.infer(["x"], 10) for _ in range(40)))
    assert it.replicas == 3
    replica.calls.clear()
    replica.may_answer.clear()
    task = asyncio.create_task(it.infer(["x"] * 400, 10))
    await called(replica, 6)
    await asyncio.sleep(0.01)
    assert len(replica.calls) == 6
    replica.may_answer.set()
    await task


async def test_what_waits_is_told_to_the_autoscaler() -> None:
    replica = Replica()
    it = dispatcher(replica)
    replica.may_answer.clear()
    task = asyncio.create_task(it.infer(["x"] * 88, 10))
    await called(replica, 2)
    assert [call.waiting for call in replica.calls] == [72, 56]
    replica.may_answer.set()
    await task


async def test_calls_that_hang_and_nobody_waits_for_hold_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serve_app.dispatcher.REPLICA_SEEN_S", 0.0)
    replica = Replica()
    it = dispatcher(replica)
    replica.may_answer.clear()
    for _ in range(2):  # as many as a replica may have
        with pytest.raises(TimeoutError):
            await it.infer(["late"], 0.01)
    assert len(replica.calls) == 2
    waiting = asyncio.create_task(it.infer(["next"], 60))
    await called(replica, 3)
    replica.may_answer.set()
    assert rows(await waiting) == [4]


async def test_what_waits_goes_on_when_calls_that_hang_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serve_app.dispatcher.REPLICA_SEEN_S", 0.05)
    replica = Replica()
    it = dispatcher(replica)
    replica.may_answer.clear()
    hung = []
    for calls in (1, 2):  # as many as a replica may have
        hung.append(asyncio.create_task(it.infer(["late"], 60)))
        await called(replica, calls)
    waiting = asyncio.create_task(it.infer(["next"], 60))
    await settle()
    assert len(replica.calls) == 2
    for task in hung:  # their clients hang up, and nothing else comes
        task.cancel()
    await called(replica, 3)
    replica.may_answer.set()
    assert rows(await waiting) == [4]


async def test_a_call_is_dropped_once_nobody_waits_for_any_of_it() -> None:
    replica = Replica()
    it = dispatcher(replica)
    replica.may_answer.clear()
    first, second = (asyncio.create_task(it.infer([text], 10)) for text in ("one", "two"))
    await called(replica, 1)
    first.cancel()
    await settle()
    assert not replica.dropped[0].done()
    second.cancel()
    await settle()
    assert replica.dropped[0].done()
    replica.may_answer.set()
    assert rows(await it.infer(["three"], 10)) == [5]
    assert not replica.dropped[1].done()


async def test_a_call_names_the_requests_whose_texts_it_carries() -> None:
    replica = Replica()
    it = dispatcher(replica)

    async def ask(name: str) -> None:
        REQUEST_ID.set(name)
        await it.infer(["word"], 10)

    await asyncio.gather(*(asyncio.create_task(ask(name)) for name in ("first", "second")))
    assert [call.ids for call in replica.calls] == [("first", "second")]


async def test_the_other_calls_of_a_request_that_failed_are_dropped() -> None:
    class FailsFirst(Replica):
        async def __call__(self, call: Call, dropped: Dropped) -> Reply:
            if not self.calls:
                self.calls.append(call)
                self.dropped.append(dropped)
                await called(self, 2)
                raise BackendError("first")
            return await super().__call__(call, dropped)

    replica = FailsFirst()
    replica.may_answer.clear()
    with pytest.raises(BackendError, match="first"):
        await dispatcher(replica).infer(["x"] * 100, 10)
    await settle()
    assert [dropped.done() for dropped in replica.dropped[1:]] == [True]
    replica.may_answer.set()


async def test_of_those_who_hang_up_no_text_is_kept() -> None:
    """A few are not looked for among what waits, and a text may have megabytes."""

    class Text(str):
        """Can be referred to weakly."""

    replica = Replica()
    it = dispatcher(replica)
    replica.may_answer.clear()
    calls = []
    for n in range(2):  # as many as a replica may have
        calls.append(asyncio.create_task(it.infer(["x"], 60)))
        await called(replica, n + 1)
    text = Text("long")
    kept = weakref.ref(text)
    left = asyncio.create_task(it.infer([text], 60))
    await settle()
    left.cancel()
    await asyncio.wait({left})
    del text, left
    assert len(it._short) == 1
    assert kept() is None
    replica.may_answer.set()
    await asyncio.gather(*calls)


async def test_a_call_that_was_cancelled_on_its_way_is_told() -> None:
    """By Ray; those who wait for it had heard of it at their deadline alone."""

    async def call(call: Call, dropped: Dropped) -> Reply:
        raise asyncio.CancelledError

    it = dispatcher(Replica())
    it._call = call
    with pytest.raises(BackendError, match="CancelledError"):
        await it.infer(["x"], 1)


def test_a_loop_that_ends_is_not_held_up_by_calls() -> None:
    async def go() -> None:
        replica = Replica()
        replica.may_answer.clear()
        asking = asyncio.create_task(dispatcher(replica).infer(["x"], 60))
        await called(replica, 1)
        assert not asking.done()

    start = time.monotonic()
    asyncio.run(go())
    assert time.monotonic() - start < 10
