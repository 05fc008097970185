"""The fixed texts, the golden ones, and labelled files."""

from pathlib import Path

import pytest

from serve_app.jobs.errors import PrepareError
from serve_app.jobs.texts import GOLDEN, fixed_texts, golden_texts, read_labelled


def test_the_fixed_texts_are_many_and_varied() -> None:
    texts = fixed_texts()

    assert len(texts) == len(set(texts)) == 128
    words = [len(text.split()) for text in texts]
    assert min(words) == 1
    assert sum(count > 600 for count in words) >= 2  # past 512 tokens, whatever the tokenizer
    assert any(not text.isascii() for text in texts)
    assert fixed_texts() == texts


def test_the_golden_texts_are_of_all_lengths() -> None:
    golden = golden_texts()

    assert len(golden) == len(set(golden)) == GOLDEN
    assert set(golden) <= set(fixed_texts())
    assert min(map(len, golden)) < 10
    assert max(map(len, golden)) > 3000


def test_labels_are_numbers_or_names(tmp_path: Path) -> None:
    path = tmp_path / "labelled.tsv"
    path.write_text('sentence\tlabel\nfine "as it is\t1\nbad\tNEGATIVE\n', encoding="utf-8")

    assert read_labelled(path, ["NEGATIVE", "POSITIVE"]) == (['fine "as it is', "bad"], [1, 0])


@pytest.mark.usefixtures("usual_field_limit")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header"),
        (b"text\tlabel\n", "header"),
        (b"sentence\tlabel\n", "holds no sentence"),
        (b"sentence\tlabel\nfine\t1\nfine\n", "line 3"),
        (b"sentence\tlabel\nfine\tGOOD\n", "line 2: expected a sentence, a tab and one of NO, YES"),
        (b"sentence\tlabel\n \t1\n", "line 2"),
        (b"sentence\tlabel\n\xff\t1\n", "cannot be read"),
        pytest.param(b"sentence\tlabel\n" + b"x" * 200_000 + b"\t1\n", "cannot be read", id="huge"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "labelled.tsv"
    path.write_bytes(content)

    with pytest.raises(PrepareError, match=message):
        read_labelled(path, ["NO", "YES"])


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "labelled.tsv"
    path.write_text("sentence\tlabel\nfine\t1\n", encoding="utf-8-sig")
    assert read_labelled(path, ["NO", "YES"]) == (["fine"], [1])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrepareError, match="cannot be read"):
        read_labelled(tmp_path / "none.tsv", ["NO", "YES"])


def test_where_a_name_is_a_number_the_name_counts(tmp_path: Path) -> None:
    path = tmp_path / "labelled.tsv"
    path.write_text("sentence\tlabel\nbad\t-1\nso so\t0\ngood\t1\n")
    assert read_labelled(path, ["-1", "0", "1"])[1] == [0, 1, 2]
