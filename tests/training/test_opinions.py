from pathlib import Path

import pytest

from training.data import Row
from training.errors import TrainingError
from training.opinions import SHIPPED, Opinions, judged, taught

ROWS = [Row("a fine film", 1), Row("what a mess", 0), Row("not asked about", 1)]


@pytest.fixture
def opinions() -> Opinions:
    said = Opinions()
    for text, positive in {"a fine film": 0.9, "what a mess": 0.2, "film fine not": 0.3}.items():
        said.add(text, positive)
    return said


def test_opinions_are_read_as_they_were_written(tmp_path: Path, opinions: Opinions) -> None:
    opinions.write(tmp_path / "opinions.npz")
    read = Opinions.read(tmp_path / "opinions.npz")
    assert len(read) == 3
    assert read.get("what a mess") == pytest.approx(0.2, abs=1e-3)
    assert read.get("not asked about") is None


def test_the_label_and_the_teacher_share_a_row(opinions: Opinions) -> None:
    rows = taught(ROWS, opinions, share=0.5)
    assert [row.target for row in rows] == pytest.approx([0.95, 0.1, 1.0])
    assert [row.label for row in rows] == [1, 0, 1]


def test_texts_without_labels_have_the_teachers_word_alone(opinions: Opinions) -> None:
    assert judged(["film fine not", "never heard"], opinions) == [Row("film fine not", 0, 0.3)]


@pytest.mark.parametrize("content", [b"", b"half a file", b"PK\x03\x04 and no more"])
def test_another_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "opinions.npz"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"opinions\.npz is not a teacher's file"):
        Opinions.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is not a teacher's file"):
        Opinions.read(tmp_path / "opinions.npz")


def test_what_the_bundled_model_learnt_from_is_there() -> None:
    assert len(Opinions.read(SHIPPED)) > 80_000
