from collections import Counter
from dataclasses import replace

from tests.training import tiny
from training.augment import Augmentation
from training.data import whole_sentences

ROWS = tiny.rows(150, seed=1)


def test_each_epoch_has_as_many_rows_and_other_ones() -> None:
    augmentation = Augmentation(ROWS, whole_sentences(ROWS), tiny.RECIPE, seed=0)
    first, second = augmentation.epoch(0), augmentation.epoch(1)
    assert len(first) == len(second)
    assert first != second
    assert first == Augmentation(ROWS, whole_sentences(ROWS), tiny.RECIPE, seed=0).epoch(0)


def test_without_shares_an_epoch_is_the_rows_themselves() -> None:
    recipe = replace(
        tiny.RECIPE,
        natural_share=0.0,
        typo_share=0.0,
        turned_share=0.0,
        framed_share=0.0,
        paragraph_share=0.0,
    )
    augmentation = Augmentation(ROWS, whole_sentences(ROWS), recipe, seed=0)
    assert Counter(augmentation.epoch(0)) == Counter(ROWS)


def test_a_share_of_the_rows_is_put_into_frames() -> None:
    plain = replace(tiny.RECIPE, framed_share=0.0)
    without = Augmentation(ROWS, whole_sentences(ROWS), plain, seed=0).epoch(0)
    recipe = replace(plain, framed_share=0.2)
    rows = Augmentation(ROWS, whole_sentences(ROWS), recipe, seed=0).epoch(0)
    assert len(rows) == len(without) + round(0.2 * len(ROWS))
