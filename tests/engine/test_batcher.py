"""The batcher against a model that is plain arithmetic, so that every answer is known."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.engine.backend import Encoded
from serve_app.engine.batcher import TAKEN, Batcher, Budget, ClosedError, Scored
from serve_app.engine.fair_queue import FLOWS
from serve_app.engine.postprocess import Logits

BUDGET = Budget(texts=4, tokens=64, padding=0.2)


class Model:
    """Answers [first id, length]; keeps the batches it was given; fails on id 13."""

    def __init__(self) -> None:
        self.batches: list[list[Encoded]] = []
        self.may_run = threading.Event()
        self.may_run.set()
        self.started = threading.Semaphore(0)

    def __call__(self, batch: Sequence[Encoded]) -> Logits:
        self.batches.append(list(batch))
        self.started.release()
        assert self.may_run.wait(10)
        if any(text.ids[0] == 13 for text in batch):
            raise ValueError("unlucky")
        return np.array([[text.ids[0], len(text)] for text in batch], dtype=np.float32)


def text(first: int, length: int) -> Encoded:
    return Encoded([first] + [0] * (length - 1))


@contextmanager
def batcher(
    run: Callable[..., Logits], workers: int = 2, budget: Budget = BUDGET
) -> Iterator[Batcher]:
    it = Batcher(run, workers, budget)
    try:
        yield it
    finally:
        it.close()


REQUESTS = st.lists(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 80)), min_size=1, max_size=12), max_size=8
)


@settings(max_examples=60)
@given(REQUESTS, st.integers(1, 3))
def test_each_text_gets_its_own_answer_and_no_batch_exceeds_the_budget(
    requests: list[list[tuple[int, int]]], workers: int
) -> None:
    model = Model()

    async def ask() -> list[Scored | BaseException]:
        with batcher(model, workers) as it:
            futures = it.submit([text(*item) for item in request] for request in requests)
            return await asyncio.gather(*futures, return_exceptions=True)

    answers = asyncio.run(ask())
    items = [item for request in requests for item in request]
    assert len(answers) == len(items)
    for (first, length), answer in zip(items, answers, strict=True):
        if first == 13:
            assert isinstance(answer, ValueError)
        else:
            assert isinstance(answer, Scored)
            assert answer.logits.tolist() == [first, length]
    for batch in model.batches:
        lengths = [len(item) for item in batch]
        assert len(batch) == 1 or BUDGET.allows(len(batch), max(lengths), sum(lengths))


def test_neighbours_in_length_ride_together() -> None:
    model = Model()

    async def ask() -> list[Scored]:
        with batcher(model, workers=1) as it:
            model.may_run.clear()
            first = it.submit([[text(1, 3)]])
            await asyncio.to_thread(model.started.acquire)
            rest = it.submit([[text(2, 10)], [text(3, 30)], [text(4, 9)], [text(5, 29)]])
            model.may_run.set()
            return await asyncio.gather(*first, *rest)

    answers = asyncio.run(ask())
    assert [answer.batch_size for answer in answers] == [1, 2, 2, 2, 2]


def test_idle_workers_share_what_arrives_together() -> None:
    model = Model()

    async def ask() -> None:
        with batcher(model, workers=2) as it:
            model.may_run.clear()
            async with asyncio.timeout(10):
                while it._idle < 2:  # noqa: ASYNC110 the threads have no event for it
                    await asyncio.sleep(0.001)
            futures = it.submit([[text(n, 5)] for n in range(4)])
            for _ in range(2):
                assert await asyncio.to_thread(model.started.acquire, timeout=10)
            model.may_run.set()
            await asyncio.gather(*futures)

    asyncio.run(ask())
    assert sorted(map(len, model.batches)) == [2, 2]


def test_a_cancelled_text_is_not_run_and_harms_nobody() -> None:
    model = Model()

    async def ask() -> tuple[Scored, Scored]:
        with batcher(model, workers=1) as it:
            model.may_run.clear()
            (running,) = it.submit([[text(1, 3)]])
            await asyncio.to_thread(model.started.acquire)
            waiting, other = it.submit([[text(2, 5)], [text(3, 5)]])
            waiting.cancel()
            running.cancel()
            model.may_run.set()
            answer = await other
            (after,) = it.submit([[text(4, 5)]])
            return answer, await after

    first, second = asyncio.run(ask())
    assert first.logits[0] == 3
    assert second.logits[0] == 4
    assert 2 not in [item.ids[0] for batch in model.batches for item in batch]


def test_one_bad_text_in_eight_harms_no_other() -> None:
    async def ask() -> list[Scored | BaseException]:
        with batcher(Model(), workers=1, budget=Budget(8, 1000, 1.0)) as it:
            futures = it.submit([[text(10 + n, 5) for n in range(8)]])
            return await asyncio.gather(*futures, return_exceptions=True)

    answers = asyncio.run(ask())
    assert [isinstance(answer, Exception) for answer in answers] == [n == 3 for n in range(8)]


def test_a_single_text_goes_before_the_rest_of_a_list() -> None:
    model = Model()

    async def ask() -> None:
        with batcher(model, workers=1) as it:
            model.may_run.clear()
            bulk = it.submit([[text(1, 5)] * 40])
            await asyncio.to_thread(model.started.acquire)
            single = it.submit([[text(2, 5)]])
            model.may_run.set()
            await asyncio.gather(*bulk, *single)

    asyncio.run(ask())
    order = [item.ids[0] for batch in model.batches for item in batch]
    assert order.index(2) < 10


def test_closing_answers_what_waits_and_refuses_more() -> None:
    model = Model()

    async def ask() -> None:
        it = Batcher(model, 2, BUDGET)
        model.may_run.clear()
        futures = it.submit([[text(n, 3) for n in range(12)], [text(12, 5)]])
        await asyncio.to_thread(model.started.acquire)
        closing = asyncio.create_task(asyncio.to_thread(it.close))
        while not it._closed:  # noqa: ASYNC110 there is no event for it
            await asyncio.sleep(0.001)
        with pytest.raises(ClosedError):
            it.submit([[text(3, 3)]])
        model.may_run.set()
        answers = await asyncio.wait_for(asyncio.gather(*futures), 10)
        assert [answer.logits[0] for answer in answers] == list(range(13))
        await closing
        assert not any(thread.is_alive() for thread in it._threads)

    asyncio.run(ask())


def test_a_model_that_hangs_is_seen() -> None:
    model = Model()

    async def ask() -> tuple[float, int]:
        with batcher(model, workers=1) as it:
            model.may_run.clear()
            futures = it.submit([[text(1, 3)], [text(2, 3)]])
            await asyncio.to_thread(model.started.acquire)
            stuck, texts = it.stuck, it.texts
            model.may_run.set()
            await asyncio.gather(*futures)
            async with asyncio.timeout(10):
                while it.stuck:  # noqa: ASYNC110 the answers come before the worker is free
                    await asyncio.sleep(0.001)
            return stuck, texts

    stuck, texts = asyncio.run(ask())
    assert stuck > 0
    assert texts == 2


@pytest.mark.parametrize("budget", [(0, 10, 0.1), (1, 0, 0.1), (1, 10, 1.1)])
def test_a_budget_that_nothing_fits_is_refused(budget: tuple[int, int, float]) -> None:
    with pytest.raises(ValueError, match="no batch fits"):
        Budget(*budget)


def test_texts_that_left_before_their_turn_do_not_pile_up() -> None:
    """The second of a pair rides with the first: its own turn never comes while more arrive."""

    async def ask() -> tuple[int, int]:
        with batcher(Model(), workers=1) as it:
            before = it.submit([[text(1, 5)] * 2], ["first"])
            for n in range(1000):
                pair = it.submit([[text(1, 5)] * 2], [n])
                await asyncio.gather(*before)
                before = pair
            await asyncio.gather(*before)
            return len(it._turns), len(it._turns._flows)

    waiting, flows = asyncio.run(ask())
    assert waiting <= TAKEN + 4
    assert flows <= FLOWS
