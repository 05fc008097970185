import random

import pytest

from training.contrast import turned, turned_rows
from training.data import NEGATIVE, POSITIVE, Row


@pytest.mark.parametrize("text", ["the film is moving", "a charming , funny film"])
def test_a_denied_praise_is_blame(text: str) -> None:
    for seed in range(20):
        row = turned(Row(text, POSITIVE), random.Random(seed))
        assert row
        assert row.label == NEGATIVE
        assert row.text != text


def test_a_denied_blame_is_praise() -> None:
    row = turned(Row("the film is dull", NEGATIVE), random.Random(0))
    assert row
    assert row.label == POSITIVE
    assert "not" in row.text or "n't" in row.text


@pytest.mark.parametrize(
    "text",
    [
        "the film is not moving",
        "is moving , but too long",
        "is it moving ?",
        "moving and funny",
        "'s a treat",
        "it is a film that " + "goes on and on and " * 4 + "is moving",
    ],
)
def test_rows_that_no_rule_can_turn_safely_are_left(text: str) -> None:
    assert turned(Row(text, POSITIVE), random.Random(0)) is None
    assert turned_rows([Row(text, POSITIVE)]) == []
