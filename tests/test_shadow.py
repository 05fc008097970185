"""The shadow asks the other twin, counts, and gets out of the way."""

import asyncio
import logging
from typing import Any

import numpy as np
import pytest

from serve_app.request import REQUEST_ID, Answers
from serve_app.shadow import Shadow
from serve_app.telemetry import SHADOW_OVER, SHADOW_SKIPPED, SHADOWED
from tests.notes import Notes


class Twin:
    def __init__(self, logits: list[list[float]]) -> None:
        self.logits = logits
        self.waiting = 0
        self.asked: list[list[str]] = []
        self.answered = asyncio.Event()
        self.fault: Exception | None = None
        self.errors: dict[int, str] = {}
        self.hangs = False

    def require_room(self, texts: int, within: float) -> None:
        raise AssertionError("whether there is room is asked for requests alone")

    async def infer(self, texts: list[str], within: float) -> Answers:
        self.asked.append(texts)
        self.answered.set()
        if self.fault:
            raise self.fault
        if self.hangs:
            await asyncio.Event().wait()
        rows = np.array(self.logits, dtype=np.float32)
        return Answers(rows, "transformers", errors=self.errors)


FIRST = Answers(np.array([[0, 2], [0, 2]], dtype=np.float32), "onnx")
TEXTS = ["secret one", "secret two"]


def shadow(torch: Twin, notes: Notes, share: float = 1.0) -> Shadow:
    twins: Any = {"transformers": torch, "onnx": Twin([])}
    return Shadow(twins, "single_label_classification", notes, share, bound=0.1)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_agreement_and_difference_are_counted_without_the_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notes = Notes()
    caplog.set_level(logging.INFO, "ray.serve")
    REQUEST_ID.set("id-7")
    torch = Twin([[0, 2], [2, 0]])
    shadow(torch, notes).follow(TEXTS, FIRST)
    await settle()
    assert torch.asked == [TEXTS]
    assert notes.noted == [
        (SHADOWED, 1, {"agrees": "yes"}),
        (SHADOWED, 1, {"agrees": "no"}),
        (SHADOW_OVER, 1, {}),
    ]
    assert "id-7" in caplog.text
    assert "secret" not in caplog.text


async def test_a_busy_backend_is_left_alone() -> None:
    notes, torch = Notes(), Twin([[0, 2], [0, 2]])
    torch.waiting = 4
    shadow(torch, notes).follow(TEXTS, FIRST)
    await settle()
    assert torch.asked == []
    assert notes.noted == [(SHADOW_SKIPPED, 1.0, {})]


async def test_no_share_asks_nobody() -> None:
    notes, torch = Notes(), Twin([[0, 2], [0, 2]])
    shadow(torch, notes, share=0.0).follow(TEXTS, FIRST)
    await settle()
    assert torch.asked == []
    assert notes.noted == []


@pytest.mark.parametrize(("drawn", "asked"), [(0.3, []), (0.2, [TEXTS])])
async def test_a_share_is_asked_about_and_no_more(
    drawn: float, asked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.random", lambda: drawn)
    notes, torch = Notes(), Twin([[0, 2], [0, 2]])
    shadow(torch, notes, share=0.25).follow(TEXTS, FIRST)
    await settle()
    assert torch.asked == asked


async def test_a_shadow_that_fails_is_not_seen(caplog: pytest.LogCaptureFixture) -> None:
    notes, torch = Notes(), Twin([])
    torch.fault = RuntimeError("dead")
    REQUEST_ID.set("id")
    with caplog.at_level("INFO", logger="ray.serve"):
        shadow(torch, notes).follow(TEXTS, FIRST)
        await settle()
    assert notes.noted == []
    assert "shadow of request id failed: dead" in caplog.text


async def test_a_text_that_the_other_failed_on_is_no_disagreement() -> None:
    notes, torch = Notes(), Twin([[np.nan, np.nan], [0, 2]])
    torch.errors = {0: "failed"}
    shadow(torch, notes).follow(TEXTS, FIRST)
    await settle()
    assert notes.noted == [(SHADOWED, 1, {"agrees": "yes"})]


async def test_it_gives_way_once_others_wait_and_not_for_itself() -> None:
    notes, torch = Notes(), Twin([])
    torch.hangs = True
    it = shadow(torch, notes)
    it.follow(TEXTS * 5, FIRST)
    await settle()
    torch.waiting = 10  # its own
    it.give_way(1)
    await settle()
    assert notes.noted == []
    for _ in range(3):  # a burst cancels it once
        it.give_way(256)
    await settle()
    assert notes.noted == [(SHADOW_SKIPPED, 1.0, {})]
    torch.waiting, torch.hangs, torch.logits = 0, False, [[0, 2], [0, 2]]
    it.follow(TEXTS, FIRST)
    await settle()
    assert notes.noted[1:] == [(SHADOWED, 2, {"agrees": "yes"})]
