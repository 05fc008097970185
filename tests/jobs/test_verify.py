"""Measuring: flips, drift, accuracy and the margin of doubt, on graphs that are known to err."""

from typing import Final

import numpy as np
import pytest

from serve_app.engine.artifacts import Measured
from serve_app.engine.onnx_backend import Feed
from serve_app.engine.postprocess import Logits, flipped, margins
from serve_app.jobs.verify import (
    Probabilities,
    Sample,
    Verdict,
    accuracy,
    measure,
    predict,
    threshold,
)

SINGLE: Final = "single_label_classification"
SEVERAL: Final = "multi_label_classification"


def sample(lengths: list[int], classes: list[int] | None = None) -> Sample:
    """Texts whose first token tells which one it is."""
    ids = [[number + 1] + [99] * (length - 1) for number, length in enumerate(lengths)]
    fixed = len(lengths) - len(classes or [])
    return Sample(ids, fixed, classes or [], pad=0)


def steady(feed: Feed) -> Logits:
    """Logits by the first token alone."""
    side: Logits = feed["input_ids"][:, 0].astype(np.float32) % 2 * 2 - 1
    return np.stack([side, -side], axis=1)


def drifting(feed: Feed) -> Logits:
    """Logits that move with the padding, as ordinary dynamic int8 does."""
    moved: Logits = steady(feed)
    moved[:, 0] += 0.01 * feed["input_ids"].shape[1]
    return moved


def test_a_batch_is_padded_to_its_longest() -> None:
    feed = sample([3, 1]).feed([1, 0])

    assert feed["input_ids"].tolist() == [[2, 0, 0], [1, 99, 99]]
    assert feed["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]


def test_every_plan_covers_the_texts_it_should() -> None:
    texts = sample([3, 1, 7] * 100, classes=[0] * 260)

    for plan in (texts.alone(), texts.sorted()):
        assert sorted(number for batch in plan for number in batch) == list(range(300))
    strange = sorted(number for batch in texts.strangers() for number in batch)
    assert strange == list(range(240))
    lengths = [{len(texts.ids[number]) for number in batch} for batch in texts.strangers()]
    assert any(len(found) == 3 for found in lengths)


def test_answers_come_back_in_the_order_of_the_texts() -> None:
    texts = sample([5, 2, 9, 1])

    by_length = predict(steady, texts, texts.sorted(), SINGLE)

    np.testing.assert_array_equal(by_length, predict(steady, texts, texts.alone(), SINGLE))


def test_a_graph_equal_to_torch_has_nothing_against_it() -> None:
    texts = sample([3, 1, 7, 4], classes=[0, 1])
    reference = predict(steady, texts, texts.alone(), SINGLE)

    verdict = measure(steady, reference, texts, SINGLE)

    assert verdict.measured == Measured(
        texts=4, flips=0, max_difference=0, mean_difference=0, batch_drift=0, accuracy=1.0
    )
    assert verdict.faults() == []
    assert verdict.threshold == 0


def test_flips_and_drift_are_found() -> None:
    texts = sample([3, 1, 7, 4])
    reference = predict(steady, texts, texts.alone(), SINGLE)[:, ::-1]

    verdict = measure(drifting, reference, texts, SINGLE)

    assert verdict.measured.flips == 4
    assert verdict.measured.batch_drift > 1e-3
    assert len(verdict.faults()) == 2
    assert "4 of 4 texts (100.0%" in verdict.faults()[0]


def test_accuracy_counts_labelled_texts_only() -> None:
    texts = sample([1, 1, 1], classes=[0, 1])
    probabilities = np.array([[0.0, 1.0], [0.9, 0.1], [0.8, 0.2]])

    assert accuracy(probabilities, texts) == 0.5
    assert accuracy(probabilities, sample([1, 1, 1])) is None


def two_classes(difference: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Probabilities:
    """Probabilities of two classes whose logits are so far apart."""
    positive = 1 / (1 + np.exp(-difference))
    return np.stack([1 - positive, positive], axis=1)


def test_the_threshold_is_that_of_the_noise_and_no_flip_escapes_it() -> None:
    dice = np.random.default_rng(0)
    torch = dice.normal(0, 3, 5000)
    noise = 0.1
    graph = torch + dice.normal(0, noise, 5000)
    found = threshold(two_classes(graph), two_classes(torch), SINGLE)
    assert found == pytest.approx(np.tanh(4.0 * noise / 2), rel=0.1)
    flipped = np.sign(graph) != np.sign(torch)
    assert flipped.any()
    assert np.tanh(np.abs(graph[flipped]) / 2).max() < found


def test_a_flip_beyond_the_noise_raises_the_threshold() -> None:
    torch = np.array([4.0] * 500 + [-0.3])
    graph = np.array([4.0] * 500 + [0.3])
    found = threshold(two_classes(graph), two_classes(torch), SINGLE)
    assert found == pytest.approx(1.5 * np.tanh(0.15))


def test_the_threshold_never_passes_one() -> None:
    far = two_classes(np.array([9.0])), two_classes(np.array([-9.0]))
    assert threshold(*far, SINGLE) <= 1.0


@pytest.mark.parametrize("labels", [1, 6])
def test_the_threshold_of_several_labels_is_that_of_each_ones_noise(labels: int) -> None:
    dice = np.random.default_rng(0)
    torch = dice.normal(0, 3, (5000, labels))
    graph = torch + dice.normal(0, 0.1, torch.shape)
    ours, torchs = (1 / (1 + np.exp(-logits)) for logits in (graph, torch))
    found = threshold(ours, torchs, SEVERAL)
    assert 0.9 * np.tanh(4.0 * 0.1 / 2) < found < 0.4
    changed = (np.sign(graph) != np.sign(torch)).any(axis=1)
    assert changed.any()
    assert (margins(ours, SEVERAL)[changed] < found).all()


def test_a_label_that_crosses_one_half_is_a_flip_and_a_small_one_that_moves_is_none() -> None:
    texts = sample([3, 1, 7, 4], classes=[0, 0])
    torch = np.array([[0.9], [0.1], [0.9], [0.1]])

    def inverted(feed: Feed) -> Logits:
        first: Logits = feed["input_ids"][:, :1].astype(np.float32)
        return np.where(first % 2 == 1, np.float32(-2), np.float32(2))

    found = measure(inverted, torch, texts, SEVERAL)
    assert found.measured.flips == 4
    assert found.measured.accuracy is None, "of one class nothing can be the best"
    assert found.faults()
    far = np.array([[0.001, 0.002, 0.9]] * 4)
    assert not flipped(far[:, [1, 0, 2]], far, SEVERAL).any()


def test_one_percent_of_flips_is_still_served() -> None:
    def verdict(flips: int) -> Verdict:
        measured = Measured(
            texts=200, flips=flips, max_difference=0.1, mean_difference=0.01, batch_drift=1e-6
        )
        return Verdict(measured, 0.0)

    assert verdict(2).faults() == []
    assert verdict(3).faults() != []
