"""Windows, and the best of the set-ups."""

import time
from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks import limit
from benchmarks.records import machine
from serve_app.engine.backend import Encoded
from serve_app.engine.postprocess import Logits

TEXTS = [Encoded([n] * (3 + 7 * n % 40)) for n in range(101)]


@pytest.mark.parametrize("window", [1, 16, 64, 500])
@pytest.mark.parametrize("batch", [1, 4, 16])
def test_every_text_leaves_the_window_once(window: int, batch: int) -> None:
    batches = list(limit.windowed(TEXTS, window, batch))
    assert sorted(text.ids[0] for taken in batches for text in taken) == list(range(101))
    assert max(map(len, batches)) == min(batch, window)


def test_no_text_is_seen_before_its_window() -> None:
    seen = 0
    for number, taken in enumerate(limit.windowed(TEXTS, 16, 4)):
        seen = max(seen, *(text.ids[0] for text in taken))
        assert seen < 16 + 4 * number
    assert seen == 100


def test_batches_are_neighbours_in_length() -> None:
    def padding(batches: Sequence[Sequence[Encoded]]) -> int:
        return sum(len(b) * max(map(len, b)) - sum(map(len, b)) for b in batches)

    unsorted = [TEXTS[at : at + 4] for at in range(0, len(TEXTS), 4)]
    narrow, wide = (list(limit.windowed(TEXTS, window, 4)) for window in (16, 64))
    assert padding(wide) < padding(narrow) < padding(unsorted) / 2


class Sleeper:
    """A backend whose batch takes a time of its own, and a time for each text."""

    name = "onnx"
    precision = "int8"

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return TEXTS[: len(texts)]

    def logits(self, batch: Sequence[Encoded]) -> Logits:
        time.sleep(0.001 + 0.0002 * len(batch) / self.threads)
        return np.zeros((len(batch), 2), dtype=np.float32)


def test_the_best_set_up_of_each_way_is_kept() -> None:
    best = limit.limits({1: Sleeper(1), 2: Sleeper(2)}, TEXTS[:32], rounds=2)
    assert list(best) == ["one at a time", "window 16", "window 64", "sorted"]
    assert best["one at a time"][2] == 1
    for workers, threads, batch, rates in best.values():
        assert (workers, threads) in limit.SETUPS
        assert batch in limit.BATCHES
        assert len(rates) == 2
    assert best["sorted"][2] > 1


def test_the_table_names_what_each_limit_was_reached_with() -> None:
    found = limit.Limit("model", "int8", "window 16", 2, 1, 4, [199.0, 201.0, 205.0])
    said = {"machine": machine(), "rounds": 3, "limits": [vars(found)]}
    assert "| model | int8 | window 16 | **201** (199–205) | 2 × 1 | 4 |" in limit.table(said)
