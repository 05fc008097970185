import random
import re

import pytest

from tests.conftest import data_folder
from training.contrast import complement
from training.data import NEGATIVE, POSITIVE, Row, read_rows, words
from training.frames import FRAMES, framed, judgements

PRAISE, BLAME = "a charming film", "dull and slow"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the film is dull and slow .", "dull and slow"),
        ("a charming film", "a charming film"),
        ("the film is not dull", None),
        ("the films are dull", None),
        ("charming and funny", None),
        ("is dull , and", None),
        ("a gleefully", None),
    ],
)
def test_what_a_row_says_of_its_subject(text: str, said: str | None) -> None:
    assert complement(text) == said


def test_only_short_and_sure_judgements_are_framed() -> None:
    rows = [
        Row(PRAISE, POSITIVE, taught=0.95),
        Row("a doubtful film", POSITIVE, taught=0.7),
        Row("a film of more words than a frame can well hold", POSITIVE),
        Row(f"the plot is {BLAME}", NEGATIVE, taught=0.05),
        Row("the plot is so-so", NEGATIVE, taught=0.4),
    ]
    assert judgements(rows) == ([BLAME], [PRAISE])


def test_a_frame_says_which_judgement_counts() -> None:
    rows = framed(([BLAME], [PRAISE]), 2_000, random.Random(0))
    assert len(rows) == 2_000
    labels = dict(rows_without_end(rows))
    assert labels[f"it used to be {PRAISE} , but now it is {BLAME}"] == NEGATIVE
    assert labels[f"it used to be {BLAME} , but now it is {PRAISE}"] == POSITIVE
    assert labels[f"i think it is {PRAISE} , even if others call it {BLAME}"] == POSITIVE
    assert labels[f"is it {PRAISE} ? yes"] == POSITIVE
    assert labels[f"is it {PRAISE} ? no"] == NEGATIVE
    assert labels[f"i do n't think it is {BLAME}"] == POSITIVE


def test_without_judgements_of_both_labels_nothing_is_framed() -> None:
    assert framed(([], [PRAISE]), 10, random.Random(0)) == []


def test_no_frame_is_taken_from_the_checklist() -> None:
    """A model that had learnt the wording of its rows would not be measured by them."""
    own = {run for frame in FRAMES for part in re.split(r"\{\w+\}", frame) for run in runs(part)}
    theirs = read_rows(data_folder() / "checklist" / "mft.tsv")
    assert len(own) >= 20
    assert not [row for row in theirs if own.intersection(runs(row.text))]


def runs(text: str) -> list[tuple[str, ...]]:
    """Every three words in a row."""
    found = words(text)
    return [found[at : at + 3] for at in range(len(found) - 2)]


def rows_without_end(rows: list[Row]) -> list[tuple[str, int]]:
    return [(row.text.removesuffix(" ."), row.label) for row in rows]
