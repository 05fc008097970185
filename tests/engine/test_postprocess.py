"""Logits to scores and labels, as every backend and protocol has them."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serve_app.engine.postprocess import apply, rank

LABELS = ["a", "b", "c"]

logits = arrays.arrays(np.float32, (4, 3), elements=st.floats(-1e4, 1e4, width=32))


@given(logits)
def test_the_functions_are_torchs(values: Any) -> None:
    tensor = torch.from_numpy(values).double()
    assert apply(values, "softmax") == pytest.approx(tensor.softmax(-1).numpy())
    assert apply(values, "sigmoid") == pytest.approx(tensor.sigmoid().numpy())
    assert np.array_equal(apply(values, "none"), values.astype(np.float64))


@given(logits, st.none() | st.integers(1, 5))
def test_labels_come_by_falling_score_each_with_its_own(values: Any, top_k: int | None) -> None:
    scores = apply(values, "none")
    for row, ranked in zip(scores.tolist(), rank(scores, LABELS, top_k), strict=True):
        assert len(ranked) == min(top_k or 3, 3)
        assert [item["score"] for item in ranked] == sorted(row, reverse=True)[: len(ranked)]
        assert all(row[LABELS.index(item["label"])] == item["score"] for item in ranked)
        assert len({item["label"] for item in ranked}) == len(ranked)


def test_equal_scores_stay_in_the_models_order() -> None:
    ((first, second, third),) = rank(np.array([[0.2, 0.4, 0.4]]), LABELS)
    assert [first["label"], second["label"], third["label"]] == ["b", "c", "a"]
