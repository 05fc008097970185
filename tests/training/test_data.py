from pathlib import Path

import pytest

from tests.training import tiny
from training.data import (
    Row,
    read_column,
    read_rows,
    split_validation,
    whole_sentences,
    without_dev,
    words,
)
from training.errors import TrainingError


def test_no_phrase_of_a_validation_sentence_is_trained_on() -> None:
    split = split_validation(tiny.rows(150, seed=1), 20, seed=0)
    held = [f" {' '.join(words(row.text))} " for row in split.validation]
    for row in split.train:
        text = f" {' '.join(words(row.text))} "
        assert not any(text in sentence for sentence in held), row


def test_split_is_the_same_for_a_seed_and_another_for_another() -> None:
    rows = tiny.rows(150, seed=1)
    assert split_validation(rows, 20, seed=0) == split_validation(rows, 20, seed=0)
    assert split_validation(rows, 20, seed=0) != split_validation(rows, 20, seed=1)


def test_whole_sentences_are_no_part_of_another_row_and_end_like_a_sentence() -> None:
    rows = [
        Row("a film that is fine .", 1),
        Row("is fine .", 1),
        Row("a long phrase without its end", 0),
        Row("he calls it `` grim . ''", 0),
    ]
    assert set(whole_sentences(rows)) == {rows[0], rows[3]}


def test_rows_of_dev_are_left_out_whatever_their_case_and_punctuation() -> None:
    rows = [Row("a fine film .", 1), Row("another film", 0)]
    assert without_dev(rows, [Row("A fine film !", 1)]) == [rows[1]]


def test_split_of_too_few_sentences_says_how_many_there_are() -> None:
    with pytest.raises(TrainingError, match="twice as many"):
        split_validation(tiny.rows(10, seed=1), 20, seed=0)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"train\.tsv is missing"):
        read_rows(tmp_path / "train.tsv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no rows"),
        ("sentence\tlabel\n", "holds no rows"),
        ("text\tlabel\nfine\t1\n", "needs columns"),
        ("sentence\tlabel\nfine\t2\n", "line 2"),
        ("sentence\tlabel\nfine\n", "line 2"),
    ],
)
def test_malformed_file_is_told_by_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TrainingError, match=message):
        read_rows(path)


def test_a_column_is_read_by_its_name(data: Path) -> None:
    path = data / "checklist" / "mft.tsv"
    assert set(read_column(path, "capability")) == {"Negation", "Vocabulary"}
    with pytest.raises(TrainingError, match="'mood'"):
        read_column(path, "mood")
