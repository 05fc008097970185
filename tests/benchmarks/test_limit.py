"""Windows, and the best of the set-ups."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import limit
from benchmarks.records import Candidate, machine
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
    backends = {1: Sleeper(1), 2: Sleeper(2)}
    formed = limit.ways(TEXTS[:32])
    found = limit.merged(
        one for _ in range(2) for one in limit.candidates(backends, formed, 0.02, "model", "int8")
    )
    assert len(found) == len(limit.SETUPS) * (1 + 3 * len(limit.BATCHES))
    assert {len(one.rates) for one in found} == {2}
    best = {one.way: one for one in limit.best(found)}
    assert list(best) == ["one at a time", "window 16", "window 64", "sorted"]
    assert best["one at a time"].batch == 1
    assert best["sorted"].batch > 1
    alone = Candidate("model", "int8", limit.ALONE, 2, 1, 1, [900.0])
    windowed = Candidate("model", "int8", "window 16", 2, 1, 4, [800.0])
    assert limit.best([alone, windowed])[1] == replace(alone, way="window 16")


def test_a_speed_may_be_by_the_seconds_of_cpu() -> None:
    batches = [[text] for text in TEXTS]
    wall = limit.speed(Sleeper(1), batches, 1, 0.1)
    cpu = limit.speed(Sleeper(1), batches, 1, 0.1, time.process_time)
    assert cpu > 2 * wall  # it sleeps


def test_the_ordinary_dynamic_int8_stands_for_the_folder_s_own(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(limit, "graph", lambda folder, precision: folder / f"{precision}.onnx")
    monkeypatch.setattr(
        limit,
        "OnnxBackend",
        lambda artifacts, threads, precision: opened.append(artifacts.onnx(precision)),
    )
    for precision in ("dynamic", "int8", "fp32"):
        limit.backends(prepared, precision)
    assert [path.name for path in opened[::2]] == ["dynamic.onnx", "int8.onnx", "fp32.onnx"]


@pytest.mark.parametrize("texts", [2, 101])
def test_every_candidate_has_the_same_time_however_many_batches(texts: int) -> None:
    start = time.perf_counter()
    rate = limit.speed(Sleeper(1), [[text] for text in TEXTS[:texts]], 2, seconds=0.05)
    assert 0.05 <= time.perf_counter() - start < 10
    assert 0 < rate < 2 / 0.0012


def test_the_table_names_what_each_limit_was_reached_with() -> None:
    found = [
        Candidate("model", "int8", "window 16", 2, 1, 4, [199.0, 201.0, 205.0]),
        Candidate("model", "int8", "window 16", 1, 2, 8, [150.0, 151.0, 152.0]),
    ]
    record = {
        "machine": machine(),
        "rounds": 3,
        "candidates": [asdict(one) for one in found],
    }
    said = limit.section(record)
    assert "| model | ONNX int8 | window 16 | **201** (199–205) | 2 × 1 | 4 |" in said
    assert "1 × 2" not in said
