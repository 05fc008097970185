"""What a replica says of a call and of itself; how it answers is in tests/integration."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from serve_app import classifier
from serve_app.autoscaling import TEXTS
from serve_app.classifier import (
    Classifier,
    ReplicaConfig,
    _reply,
    _tell,
    _threads,
    _warn_of_threads,
)
from serve_app.engine.backend import Encoded
from serve_app.engine.batcher import Batcher, ClosedError, Scored
from serve_app.engine.postprocess import Logits
from serve_app.messages import Call, Reply
from tests.integration.waiting import until
from tests.notes import Notes

TEXT = Encoded([1, 2])


def good(batch: Sequence[Encoded]) -> Logits:
    return np.zeros((len(batch), 2), dtype=np.float32)


class Replica:
    """What `check_health` looks at, with `logits` as the model."""

    def __init__(self, logits: Callable[[Sequence[Encoded]], Logits]) -> None:
        self.artifacts = SimpleNamespace(golden=SimpleNamespace(texts=["a"]))
        self.backend = SimpleNamespace(encode=lambda texts: [TEXT for _ in texts], logits=logits)
        self.batcher = Batcher(logits, 1, ReplicaConfig().budget)

    async def check_health(self) -> None:
        parts = SimpleNamespace(
            _artifacts=self.artifacts, _backend=self.backend, _loaded=(self.batcher,)
        )
        await Classifier.check_health(parts)  # type: ignore[arg-type]


@pytest.fixture
def replica() -> Iterator[type[Replica]]:
    made: list[Replica] = []

    class Kept(Replica):
        def __init__(self, logits: Callable[[Sequence[Encoded]], Logits]) -> None:
            super().__init__(logits)
            made.append(self)

    yield Kept
    for it in made:
        it.batcher.close()


async def test_a_replica_whose_model_answers_is_well(replica: type[Replica]) -> None:
    await replica(good).check_health()


async def test_numbers_that_are_none_are_an_illness(replica: type[Replica]) -> None:
    it = replica(lambda batch: good(batch) * np.nan)
    with pytest.raises(RuntimeError, match="numbers that are none"):
        await it.check_health()


async def test_a_model_that_does_not_return_is_an_illness(
    replica: type[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ray#61263: a process that lives and answers nothing."""
    monkeypatch.setattr(classifier, "HEALTH_DEADLINE_S", 0.1)
    returns = threading.Event()

    def slow(batch: Sequence[Encoded]) -> Logits:
        returns.wait(20)
        return good(batch)

    try:
        with pytest.raises(TimeoutError):
            await replica(slow).check_health()
    finally:
        returns.set()


async def test_a_batch_that_does_not_end_is_an_illness(
    replica: type[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    returns = threading.Event()
    first = threading.Event()

    def stuck_once(batch: Sequence[Encoded]) -> Logits:
        if not first.is_set():
            first.set()
            returns.wait(20)
        return good(batch)

    it = replica(stuck_once)
    (waiting,) = it.batcher.submit([[TEXT]])
    try:
        await asyncio.to_thread(until, lambda: it.batcher.stuck > 0.1)
        with monkeypatch.context() as patch:
            patch.setattr(classifier, "HEALTH_DEADLINE_S", 0.1)
            with pytest.raises(RuntimeError, match="a batch has been running for"):
                await it.check_health()
    finally:
        returns.set()
    await waiting
    await asyncio.to_thread(
        until, lambda: it.batcher.stuck == 0
    )  # its answer comes a moment before
    await it.check_health()


def test_threads_that_are_not_the_reserved_cpus_are_told(caplog: pytest.LogCaptureFixture) -> None:
    _warn_of_threads(ReplicaConfig(workers=2, threads=1), 2.0)
    _warn_of_threads(ReplicaConfig(workers=2, threads=1), 0.15)  # many share a small machine
    assert not caplog.records
    _warn_of_threads(ReplicaConfig(workers=2, threads=2), 2.0)
    assert "2 workers of 2 threads on 2 reserved CPUs" in caplog.text


def test_numbers_that_are_none_are_no_answer() -> None:
    rows = [[0.0, 1.0], [math.nan, 1.0], [0.0, math.inf]]
    scored: list[Scored | BaseException] = [
        Scored(np.array(row, dtype=np.float32), 0.0, 0.0, 3) for row in rows
    ]
    reply = _reply("a", [TEXT] * 3, scored, 2, 0.0)
    assert list(reply.errors) == [1, 2]
    assert "numbers that are none" in reply.errors[1]


def test_the_log_names_the_requests_whose_texts_failed(caplog: pytest.LogCaptureFixture) -> None:
    requests = [["fine"], ["fine", "secret"], ["secret", "secret"]]
    call = Call(requests=requests, ingress="i", waiting=0.0, ids=("one", "two", "three"))
    ones = np.ones(5, dtype=np.float32)
    errors = {2: "too odd", 3: "too odd", 4: "too odd"}
    _tell(call, Reply("a", ones[:, None], ones, ones, ones.astype(np.int32), [], errors, 0.0))
    assert "requests two, three: too odd" in caplog.text
    assert "secret" not in caplog.text


@contextmanager
def tokenized_by(encode: Callable[[Sequence[str]], list[Encoded]]) -> Iterator[SimpleNamespace]:
    """A replica with this tokenizer, as far as `infer` and `check_health` look."""
    batcher = Batcher(good, 1, ReplicaConfig().budget)
    try:
        yield SimpleNamespace(
            _told={},
            _name="a",
            _backend=SimpleNamespace(name="onnx", encode=encode, logits=good),
            _loaded=(batcher, batcher),
            _tokenizing=(_threads(0), _threads(0)),
            _telemetry=Notes(),
            _artifacts=SimpleNamespace(
                manifest=SimpleNamespace(labels=["bad", "good"]),
                golden=SimpleNamespace(texts=["golden"]),
            ),
        )
    finally:
        batcher.close()


async def test_long_requests_keep_no_short_one_from_being_tokenized() -> None:
    may_encode = threading.Event()

    def encode(texts: Sequence[str]) -> list[Encoded]:
        if texts[0].startswith("bulk"):
            may_encode.wait(60)
        return [TEXT for _ in texts]

    def call(text: str, bulk: bool) -> Call:
        texts = [[text * classifier.INLINE_CHARACTERS]]
        return Call(texts, "i", 0.0, (1,), (), ("x",), bulk=bulk)

    with tokenized_by(encode) as parts:
        infer = Classifier.infer
        long = [
            asyncio.create_task(infer(parts, call("bulk", bulk=True)))  # type: ignore[arg-type]
            for _ in range(32)
        ]
        try:
            await asyncio.sleep(0)
            async with asyncio.timeout(10):
                reply = await infer(parts, call("short", bulk=False))  # type: ignore[arg-type]
            assert not reply.errors
            assert not any(task.done() for task in long)
        finally:
            may_encode.set()
            await asyncio.gather(*long)


async def test_a_replica_that_tokenizes_is_well() -> None:
    """It had to wait for the texts of clients, and after three times Ray ends the replica."""
    may_encode = threading.Event()

    def encode(texts: Sequence[str]) -> list[Encoded]:
        if texts != ["golden"]:
            may_encode.wait(60)
        return [TEXT for _ in texts]

    with tokenized_by(encode) as parts:
        text = "a" * (classifier.INLINE_CHARACTERS + 1)
        calls = [
            asyncio.create_task(
                Classifier.infer(parts, Call([[text]], "i", 0.0, (1,), (), ("x",)))  # type: ignore[arg-type]
            )
            for _ in range(64)
        ]
        try:
            await asyncio.sleep(0)
            async with asyncio.timeout(10):
                await Classifier.check_health(parts)  # type: ignore[arg-type]
            assert not any(task.done() for task in calls)
        finally:
            may_encode.set()
            await asyncio.gather(*calls)


async def test_a_text_that_cannot_be_tokenized_fails_alone() -> None:
    def encode(texts: Sequence[str]) -> list[Encoded]:
        if "odd" in texts:
            raise ValueError("no token for it")
        return [TEXT for _ in texts]

    with tokenized_by(encode) as parts:
        for fine in ("fine", "fine" * classifier.INLINE_CHARACTERS):
            call = Call([[fine], ["odd", fine], ["odd"]], "i", 0.0, (1, 2, 3), (), ("x", "y", "z"))
            reply = await Classifier.infer(parts, call)  # type: ignore[arg-type]
            assert reply.errors == dict.fromkeys((1, 3), "no token for it")
            assert np.isfinite(reply.logits).all(axis=1).tolist() == [True, False, True, False]


async def test_a_change_of_the_configuration_applies_in_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classifier, "_cpus", lambda: 0.5)
    loaded: list[int] = []

    def load(config: ReplicaConfig) -> tuple[SimpleNamespace, str]:
        """A model whose every logit is the number of its threads."""
        loaded.append(config.threads)
        return SimpleNamespace(logits=lambda batch: good(batch) + config.threads), "certificate"

    parts = SimpleNamespace(_batchers=None, _address=(), _load=load)

    async def configured(threads: int) -> tuple[Batcher, Batcher]:
        await Classifier.reconfigure(parts, {"threads": threads})  # type: ignore[arg-type]
        batchers: tuple[Batcher, Batcher] = parts._batchers
        return batchers

    first = await configured(1)
    assert await configured(1) is first, "it is told again at every change of rank"
    second = await configured(2)
    try:
        assert loaded == [1, 2]
        assert parts._config.threads == 2
        assert parts._backend.logits([TEXT]).tolist() == [[2, 2]]
        for batcher in second:
            (scored,) = await asyncio.gather(*batcher.submit([[TEXT]]))
            assert scored.logits.tolist() == [2, 2]
        for batcher in first:
            with pytest.raises(ClosedError):
                batcher.submit([[TEXT]])
    finally:
        for batcher in (*first, *second):
            batcher.close()


async def test_a_configuration_that_cannot_be_had_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half taken, it passed for the one that runs when Serve tried it again."""
    backend = SimpleNamespace(logits=good)
    parts = SimpleNamespace(_batchers=None, _address=(), _load=lambda _: (backend, "certificate"))
    monkeypatch.setattr(classifier, "_cpus", lambda: 0.5)

    async def reconfigure(**config: object) -> None:
        await Classifier.reconfigure(parts, config)  # type: ignore[arg-type]

    await reconfigure(workers=1)
    before = dict(vars(parts))
    made: list[Batcher] = []

    def batcher(*args: object) -> Batcher:
        if made:
            raise RuntimeError("can't start new thread")
        made.append(Batcher(*args))  # type: ignore[arg-type]
        return made[0]

    try:
        with pytest.raises(ValidationError):
            await reconfigure(workers=2, batch_padding=15)
        assert vars(parts) == before
        monkeypatch.setattr(classifier, "Batcher", batcher)
        with pytest.raises(RuntimeError, match="thread"):
            await reconfigure(workers=2)
        assert vars(parts) == before
        with pytest.raises(ClosedError):
            made[0].submit([[TEXT]])
    finally:
        for each in (*before["_batchers"], *made):
            each.close()


async def test_what_an_ingress_told_long_ago_is_forgotten() -> None:
    now = time.perf_counter()
    old = now - 2 * classifier.INGRESS_TOLD_S
    parts = SimpleNamespace(_texts=3, _told={"here": (now, 4.0), "gone": (old, 5.0)})
    assert await Classifier.record_autoscaling_stats(parts) == {TEXTS: 7}  # type: ignore[arg-type]
    assert list(parts._told) == ["here"]
