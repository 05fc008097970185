"""Both twins as one, over backends whose answers are written down."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from serve_app.auto import Auto
from serve_app.dispatcher import BackendError, OverloadedError
from serve_app.request import Answers
from serve_app.telemetry import ESCALATIONS, FAILOVERS
from tests.notes import Notes


class Twin:
    """Answers each text by its table; raises, hangs or fails on a text where it is told to."""

    def __init__(self, backend: str, logits: dict[str, tuple[float, float]]) -> None:
        self.backend = backend
        self.logits = logits
        self.asked: list[list[str]] = []
        self.fault: Exception | None = None
        self.hangs = False
        self.full = False
        self.before = 0
        self.fails_on: list[str] = []

    def require_room(self, texts: int, within: float) -> None:
        if self.full:
            raise OverloadedError(1)

    def room(self, within: float) -> int:
        return 0 if self.full else 3

    def retry_after(self, texts: int, within: float) -> int:
        return self.before + texts

    def ahead(self, texts: int) -> int:
        return self.before

    async def infer(self, texts: Sequence[str], within: float) -> Answers:
        self.asked.append(list(texts))
        if self.fault:
            raise self.fault
        async with asyncio.timeout(within):
            if self.hangs:
                await asyncio.Event().wait()
        rows = np.array([self.logits[text] for text in texts], dtype=np.float32)
        failed = [at for at, text in enumerate(texts) if text in self.fails_on]
        errors = dict.fromkeys(failed, f"{self.backend} failed")
        rows[list(errors)] = np.nan
        return Answers(rows, self.backend, queue=1, inference=2, errors=errors)


NOTES = Notes()


@pytest.fixture(autouse=True)
def _no_notes() -> None:
    NOTES.noted.clear()


@pytest.fixture
def onnx() -> Twin:
    return Twin("onnx", {"sure": (0, 4), "doubt": (0.01, 0), "doubt too": (0, 0.02)})


@pytest.fixture
def torch() -> Twin:
    return Twin("transformers", {"sure": (0, 5), "doubt": (0, 1), "doubt too": (0, 2)})


def auto(onnx: Twin, torch: Twin, patience: float = 5) -> Auto:
    return Auto(onnx, torch, "single_label_classification", 0.1, patience=patience, telemetry=NOTES)


async def test_a_sure_answer_is_onnx_alone(onnx: Twin, torch: Twin) -> None:
    answers = await auto(onnx, torch).infer(["sure"], 10)
    assert answers.backend == "onnx"
    assert torch.asked == []


async def test_a_torch_that_hangs_is_given_no_longer_than_onnx(onnx: Twin, torch: Twin) -> None:
    torch.hangs = True
    async with asyncio.timeout(5):
        answers = await auto(onnx, torch, patience=0.01).infer(["doubt"], 60)
    assert answers.backend == "onnx"


async def test_a_doubtful_text_goes_on_to_torch(onnx: Twin, torch: Twin) -> None:
    it = auto(onnx, torch)
    answers = await it.infer(["sure", "doubt", "sure", "doubt too"], 10)
    assert torch.asked == [["doubt", "doubt too"]]
    assert answers.logits.tolist() == [[0, 4], [0, 1], [0, 4], [0, 2]]
    assert answers.backend == "onnx;n=2, transformers;n=2"
    assert (answers.queue, answers.inference) == (2, 4)
    assert NOTES.noted == [(ESCALATIONS, 2, {})]
    assert (await it.infer(["doubt"], 10)).backend == "transformers"


@pytest.mark.parametrize("fault", [OverloadedError(3), BackendError("dead")])
async def test_torch_stands_in_for_onnx(onnx: Twin, torch: Twin, fault: Exception) -> None:
    onnx.fault = fault
    it = auto(onnx, torch)
    answers = await it.infer(["sure", "doubt"], 10)
    assert answers.backend == "transformers"
    assert NOTES.noted == [(FAILOVERS, 2, {})]


async def test_torch_stands_in_for_an_onnx_that_is_late(onnx: Twin, torch: Twin) -> None:
    onnx.hangs = True
    answers = await auto(onnx, torch, patience=0.01).infer(["sure"], 10)
    assert answers.backend == "transformers"


@pytest.mark.parametrize("fault", [OverloadedError(3), BackendError("dead"), TimeoutError()])
async def test_onnx_stands_where_torch_cannot_be_asked(
    onnx: Twin, torch: Twin, fault: Exception
) -> None:
    torch.fault = fault
    answers = await auto(onnx, torch).infer(["doubt", "sure"], 10)
    assert answers.backend == "onnx"
    assert answers.logits.tolist() == [pytest.approx([0.01, 0]), [0, 4]]


async def test_onnx_stands_where_torch_fails_on_a_text(onnx: Twin, torch: Twin) -> None:
    torch.fails_on = ["doubt"]
    it = auto(onnx, torch)
    answers = await it.infer(["doubt", "doubt too", "sure"], 10)
    assert answers.errors == {}
    assert answers.logits.tolist() == [pytest.approx([0.01, 0]), [0, 2], [0, 4]]
    assert answers.backend == "onnx;n=2, transformers;n=1"
    assert (await it.infer(["doubt"], 10)).backend == "onnx"


async def test_where_both_fail_on_a_text_torch_says_why(onnx: Twin, torch: Twin) -> None:
    onnx.fails_on = torch.fails_on = ["doubt"]
    assert (await auto(onnx, torch).infer(["sure", "doubt"], 10)).errors == {
        1: "transformers failed"
    }
    torch.fails_on = []
    assert (await auto(onnx, torch).infer(["sure", "doubt"], 10)).errors == {}


async def test_where_neither_can_the_second_says_why(onnx: Twin, torch: Twin) -> None:
    onnx.fault, torch.fault = BackendError("dead"), OverloadedError(7)
    with pytest.raises(OverloadedError) as refused:
        await auto(onnx, torch).infer(["sure"], 10)
    assert refused.value.retry_after == 7


async def test_several_labels_are_doubtful_near_one_half(onnx: Twin, torch: Twin) -> None:
    it = Auto(onnx, torch, "multi_label_classification", 0.1, patience=5, telemetry=NOTES)
    onnx.logits["far"] = torch.logits["far"] = (-4, 4)
    answers = await it.infer(["far", "sure"], 10)
    assert answers.backend == "onnx;n=1, transformers;n=1", "a sigmoid of 0 is one half"


def test_there_is_room_where_either_backend_has_it(onnx: Twin, torch: Twin) -> None:
    both = auto(onnx, torch)
    assert both.room(10) == 6
    onnx.full = True
    both.require_room(1, 10)
    assert both.room(10) == 3
    torch.full, torch.before = True, 5
    assert both.room(10) == 0
    assert both.retry_after(1, 10) == 1, "the sooner of the two"
    with pytest.raises(OverloadedError):
        both.require_room(1, 10)


async def test_a_list_is_given_more_patience_than_a_text(onnx: Twin, torch: Twin) -> None:
    given: list[float] = []

    class Watch(Twin):
        async def infer(self, texts: Sequence[str], within: float) -> Answers:
            given.append(within)
            return await super().infer(texts, within)

    it = auto(Watch("onnx", onnx.logits), torch, patience=2)
    for count in (1, 256):
        await it.infer(["sure"] * count, 60)
    await it.infer(["sure"], 3)
    assert given == [2, 8, 1.5], "and half of the deadline is torch's"


async def test_what_waits_for_others_is_not_late(onnx: Twin, torch: Twin) -> None:
    given: list[float] = []

    class Watch(Twin):
        async def infer(self, texts: Sequence[str], within: float) -> Answers:
            given.append(within)
            return await super().infer(texts, within)

    watch = Watch("onnx", onnx.logits)
    watch.before = 96
    await auto(watch, torch, patience=2).infer(["sure"] * 32, 60)
    assert given == [4]
