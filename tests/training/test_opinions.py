from pathlib import Path

import pytest

from training.data import Row
from training.errors import TrainingError
from training.opinions import read_opinions, taught, write_opinions

ROWS = [Row("a fine film", 1), Row('what a " mess', 0), Row("not asked about", 1)]
OPINIONS = {"a fine film": 0.9, 'what a " mess': 0.2, "film fine not": 0.3}


def test_opinions_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_opinions(tmp_path / "opinions.tsv", OPINIONS)
    assert read_opinions(tmp_path / "opinions.tsv") == OPINIONS


def test_the_label_and_the_teacher_share_a_row_and_the_teacher_has_the_others() -> None:
    rows, transfer = taught(ROWS, OPINIONS, share=0.5)
    assert [row.target for row in rows] == pytest.approx([0.95, 0.1, 1.0])
    assert [row.label for row in rows] == [1, 0, 1]
    assert transfer == [Row("film fine not", 0, 0.3)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no rows"),
        ("text\tlabel\nfine\t1\n", "needs a column 'sentence'"),
        ("sentence\tpositive\nfine\tvery\n", "is not a teacher's file"),
    ],
)
def test_another_file_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "opinions.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TrainingError, match=rf"opinions\.tsv {said}"):
        read_opinions(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"opinions\.tsv is missing"):
        read_opinions(tmp_path / "opinions.tsv")
