"""Files of texts and labels: what is read, and what is refused."""

from pathlib import Path

import pytest

from serve_app.jobs.labelled import COLUMNS, Labelled, LabelledError, read, require


def test_labels_that_cannot_be_one_are_left_aside(tmp_path: Path) -> None:
    path = tmp_path / "in.JSON"
    path.write_text('{"sentence": "cut \\ud83d", "label": [0, 2]}\n')
    labelled = read(path, "sentence", None, ["joy", "anger", "fear"])
    assert (labelled.texts, labelled.labels) == (["cut ?"], None)


def test_labels_that_differ_in_case_alone_are_two(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("sentence,label\na,Spam\nb,spam\nc,SPAM\n")
    with pytest.raises(LabelledError, match="the label 'SPAM'"):
        read(path, "sentence", "label", ["spam", "Spam", "ham"])
    path.write_text("sentence,label\na,Spam\nb,spam\n")
    found = read(path, "sentence", "label", ["spam", "Spam", "ham"]).labels
    assert found == [1, 0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.ndjson", b'{"sentence": "a"}\n\n{bad\n', "line 3 is no JSON: Expecting property name"),
        ("a.csv", b"sentence\ncaf\xe9\n", "is not UTF-8 text; save it as UTF-8"),
        ("a.csv", b"", "has no rows"),
        ("a.csv.gz", b"", "is no plain CSV, TSV or NDJSON file"),
        ("a.csv", b"sentence,label\nfine, warm,1\n", "row 1 has more fields than the header"),
        ("a.parquet", b"", "is no plain CSV, TSV or NDJSON file"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LabelledError, match=said):
        read(path, "sentence", "label", ["NEGATIVE", "POSITIVE"])


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "dev.csv"
    path.write_text("sentence,label\nfine,1\n", encoding="utf-8-sig")
    assert read(path, "sentence", "label", ["NO", "YES"]).texts == ["fine"]


def test_tabs_separate_in_a_file_of_no_known_ending(tmp_path: Path) -> None:
    path = tmp_path / "dev.txt"
    path.write_text('sentence\tlabel\n"fine", they said\t1\n')
    assert read(path, "sentence", "label", ["NO", "YES"]).texts == ['"fine", they said']


@pytest.mark.usefixtures("usual_field_limit")
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("short.csv", "label,sentence\n1,fine\n0\n", "row 2 has no 'sentence'"),
        ("short.tsv", "sentence\tlabel\nfine\n", "row 1 has no 'label'"),
        ("in.ndjson", '{"sentence": "fine"}\n{"text": "bad"}\n', "row 2 has no 'sentence'"),
        ("in.jsonl", '{"sentence": "fine"}\n["bad"]\n', "line 2 is no JSON object"),
        ("list.ndjson", '["fine"]\n', "line 1 is no JSON object"),
        ("long.csv", "text\nfine,1\n", "no column 'sentence', but text"),
        ("huge.csv", f"sentence,label\n{'x' * 200_000},1\n", "cannot be read: field larger"),
    ],
    ids=lambda value: value[:20],
)
def test_a_file_with_a_fault_is_refused(name: str, content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(LabelledError, match=said):
        read(path, "sentence", "label", ["NO", "YES"])


@pytest.mark.parametrize(
    "content",
    [
        'sentence\tlabel\nfine "as it is\t1\nbad\tNEGATIVE\n',
        'sentence\tlabel\nfine "as it is\tpositive\nbad\t0\n',
    ],
)
def test_labels_are_numbers_or_names(content: str, tmp_path: Path) -> None:
    path = tmp_path / "labelled.tsv"
    path.write_text(content)
    require(path)
    found = read(path, *COLUMNS, ["NEGATIVE", "POSITIVE"])
    assert found == Labelled(['fine "as it is', "bad"], [1, 0])


def test_where_a_name_is_a_number_the_name_counts(tmp_path: Path) -> None:
    path = tmp_path / "labelled.tsv"
    path.write_text("sentence\tlabel\nbad\t-1\nso so\t0\ngood\t1\n")
    assert read(path, *COLUMNS, ["-1", "0", "1"]).labels == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text\tlabel\nfine\t1\n", "no column 'sentence', but text, label"),
        ("sentence\tclass\nfine\t1\n", "no column 'label', but sentence, class"),
        ("sentence\tlabel\nfine\t1\nfine\n", "row 2 has no 'label'"),
        ("sentence\tlabel\nfine\t1\n \t1\n", "row 2 has a blank sentence"),
    ],
)
def test_preparation_needs_a_label_and_a_sentence_in_each_row(
    content: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "labelled.tsv"
    path.write_text(content)
    with pytest.raises(LabelledError, match=said):
        require(path)
