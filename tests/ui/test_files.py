import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT
from ui import files
from ui.files import Dialect, FileError


def test_cells_stay_the_text_they_are() -> None:
    frame = files.read("a.csv", b"text,label\nNA,0\n007,1\n,nan\n", 10)
    assert frame.to_numpy().tolist() == [["NA", "0"], ["007", "1"], ["", "nan"]]


def test_a_csv_may_quote_and_may_part_with_semicolons() -> None:
    assert files.read("a.csv", b'text\n"a, b\nc"\n', 10)["text"].tolist() == ["a, b\nc"]
    frame = files.read("a.CSV", "\ufefftext;label\nja, gut;1\n".encode(), 10)
    assert frame["text"].tolist() == ["ja, gut"]


def test_a_quotation_mark_in_a_tsv_is_one() -> None:
    frame = files.read("a.tsv", b'sentence\tlabel\n" so\t1\nthe end "\t0\n', 10)
    assert frame["sentence"].tolist() == ['" so', 'the end "']


@pytest.mark.parametrize(
    ("content", "separator", "columns"),
    [
        (b"text,label\n", ",", ["text", "label"]),
        (b'"text, lang";label\n"gut, ja";1\n', ";", ["text, lang", "label"]),
        (b"id;date;text, full\n1;2;gut, ja\n", ";", ["id", "date", "text, full"]),
        (b"text\tlabel\ngood, yes\t1\n", "\t", ["text", "label"]),
        (b"text|label\ngood; yes|1\n", "|", ["text", "label"]),
        (b"id;text, full\n", ",", ["id;text", " full"]),
        (b"text\na;b\n", ",", ["text"]),
        (b"\r\ntext;label\r\n", ";", ["text", "label"]),
        (b"Rating (1|2|3),text\n2,good\n", ",", ["Rating (1|2|3)", "text"]),
        (b'text;label\n"good, and\nnot bad";1\n', ";", ["text", "label"]),
        (b"text;label\n\n", ";", ["text", "label"]),
    ],
)
def test_what_parts_the_columns_is_most_frequent_in_header_and_first_row(
    content: bytes, separator: str, columns: list[str]
) -> None:
    assert files.dialect("csv", content) == Dialect(separator)
    rows = separator.join("x" for _ in columns).encode()
    assert files.read("a.csv", content + rows, 10).columns.tolist() == columns


def test_what_comes_back_is_written_as_it_was_read() -> None:
    content = "\ufefftext;label\nja, gut;1\n".encode()
    frame = files.read("a.csv", content, 10)
    assert files.write(frame, "csv", files.dialect("csv", content)) == content
    content = "\ufefftext\tlabel\nja; gut\t1\n".encode()
    frame = files.read("a.tsv", content, 10)
    assert files.write(frame, "tsv", files.dialect("tsv", content)) == content


def test_a_blank_line_is_a_row_without_a_text() -> None:
    frame = files.read("a.csv", b"text\na\n\n\nb\n\n", 10)
    assert files.texts(frame, "text") == ["a", "", "", "b"]
    frame = files.read("a.csv", b"\n\ntext,label\na,1\n\nb,0\n", 10)
    assert files.texts(frame, "text") == ["a", "", "b"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_header_that_names_a_column_twice_is_refused(name: str) -> None:
    with pytest.raises(FileError, match="several columns of one name"):
        files.read(name, b"text,text\na,b\n".replace(b",", b"," if name == "a.csv" else b"\t"), 10)
    assert files.read("a.csv", b"text,,\na,b,c\n", 10)["text"].tolist() == ["a"]


def test_half_a_character_becomes_a_question_mark() -> None:
    content = rb'{"text": "fine \ud83d"}' + b"\n" + rb'{"text": "fine \ud83d\ude00"}'
    frame = files.read("a.ndjson", content, 10)
    assert frame["text"].tolist() == ["fine ?", "fine \U0001f600"]


def test_ndjson_and_parquet() -> None:
    frame = files.read("a.jsonl", b'{"text": "a", "n": 1}\n\n{"text": null}\n', 10)
    assert files.texts(frame, "text") == ["a", ""]
    packed = pd.DataFrame({"text": ["a", None], "n": [1, 2]}).to_parquet()
    assert files.texts(files.read("a.parquet", packed, 10), "text") == ["a", ""]
    assert files.texts(files.read("a.parquet", packed, 10), "n") == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xlsx", b"", "ends in .xlsx"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"text\n", "no rows"),
        ("a.csv", b"text\na\nb,c\n", "line 3"),
        ("a.csv", b"text\nGood film, loved it\nBad one, awful\n", "more columns than the header"),
        ("a.csv", b"text\n\xff\xfe\n", "UTF-8"),
        ("a.csv", b"text\n" + b"x\n" * 11, "more than 10 rows"),
        ("a.ndjson", b'{"text": "a"}\n{oops\n', "Line 2 is no JSON"),
        ("a.ndjson", b'{"a":' * 9999, "Line 1 is no JSON"),
        ("a.ndjson", b"[1]\n", "Line 1 is no JSON object"),
        ("a.ndjson", b'{"text": "\xff"}\n', "UTF-8"),
        ("a.ndjson", b'{"text": "a"}\n' * 11, "more than 10 rows"),
        ("a.parquet", b"PAR1", "Parquet"),
        ("a.parquet", pd.DataFrame({"text": ["x"] * 11}).to_parquet(), "more than 10 rows"),
    ],
)
def test_what_cannot_be_taken_is_said_in_a_sentence(name: str, content: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words) as caught:
        files.read(name, content, 10)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("ending", ["csv", "tsv", "ndjson", "parquet"])
def test_what_is_written_reads_back(ending: str) -> None:
    frame = pd.DataFrame({"text": ["a", 'b "c"', "d, e"], "onnx_label": ["X", "Y", None]})
    written = files.write(frame, files.format_of(f"a.{ending}"))
    read = files.read(f"a.{ending}", written, 10)
    assert read["text"].tolist() == frame["text"].tolist()
    assert files.texts(read, "onnx_label") == ["X", "Y", ""]


@pytest.mark.parametrize("ending", ["ndjson", "parquet"])
def test_numbers_come_back_as_they_were(ending: str) -> None:
    """Whoever downloads the scored file joins it to her own rows by them."""
    rows: list[dict[str, object]] = [
        {"id": 1234567890123456789, "text": "a", "rating": 5, "w": 1.2345678901234567, "p": 1e-12},
        {"text": "b", "w": None, "flag": True, "more": {"deep": [1, None]}},
    ]
    if ending == "ndjson":
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    else:
        packed = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), packed)
        content = packed.getvalue()
    frame = files.read(f"a.{ending}", content, 10)
    frame = pd.concat([frame, pd.DataFrame({"onnx_score": [0.5, None]})], axis=1)
    assert files.texts(frame, "rating") == ["5", ""]
    written = files.write(frame, files.format_of(f"a.{ending}"))
    if ending == "ndjson":
        back = [json.loads(line) for line in written.decode().splitlines()]
        assert back[1]["more"] == {"deep": [1, None]}
        assert back[1]["flag"] is True
    else:
        back = pq.read_table(io.BytesIO(written)).to_pylist()
    for name in ("id", "text", "rating", "w", "p"):
        assert [row[name] for row in back] == [row.get(name) for row in rows]
        assert type(back[0][name]) is type(rows[0][name])
    assert [row["onnx_score"] for row in back] == [0.5, None]


def test_a_tsv_stays_one_line_a_row() -> None:
    written = files.write(pd.DataFrame({"text": ["a\tb\nc"]}), "tsv")
    assert written == b"text\na b c\n"


def test_columns_are_guessed_by_name_then_by_length() -> None:
    frame = pd.DataFrame({"Label": ["1"], "Review": ["short"], "other": ["much longer than that"]})
    assert (files.text_column(frame), files.label_column(frame)) == ("Review", "Label")
    frame = pd.DataFrame({"a": ["1"], "b": ["much longer"]})
    assert (files.text_column(frame), files.label_column(frame)) == ("b", None)


def test_a_parquet_file_that_unpacks_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "UNPACKED_LIMIT", 100)
    packed = io.BytesIO()
    pd.DataFrame({"text": [str(n) * 50 for n in range(50)]}).to_parquet(packed)
    with pytest.raises(FileError, match="unpacks"):
        files.read("a.parquet", packed.getvalue(), 100)


READ = """
import re, resource, sys
from pathlib import Path
from ui import files

try:
    files.read("a.parquet", Path(sys.argv[1]).read_bytes(), 10_000)
except files.FileError as error:
    print(error)
# Not of getrusage, which would count in the process that started this one.
own = re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]
print(max(int(own), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""
"""Says why a file is not taken, and the most kilobytes that it took, here or in a child."""


@pytest.mark.parametrize("store_schema", [True, False])
@pytest.mark.parametrize("in_one_row", [False, True])
def test_a_small_file_that_unpacks_to_gigabytes(
    in_one_row: bool, store_schema: bool, tmp_path: Path
) -> None:
    value = pa.array(["a" * 1_000_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 2_000, pa.int32()), value)
    if in_one_row:
        column = pa.ListArray.from_arrays([0, 2_000], column)
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"t": column}), file, compression="zstd", store_schema=store_schema)
    assert file.stat().st_size < 100_000
    command = [sys.executable, "-c", READ, str(file)]
    told, peak = subprocess.check_output(command, text=True, cwd=ROOT).splitlines()
    within_another = in_one_row and store_schema  # a dictionary within a list
    assert ("does not read" if within_another else "unpacks to more") in told
    assert int(peak) < 800_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"a,b,c\n" + b"x\n" * 5),
        ("a.tsv", b"a\tb\tc\n" + b"x\n" * 5),
        ("a.ndjson", b'{"a": 1, "b": 2}\n' + b'{"c": 3}\n' * 4),
        ("a.parquet", pd.DataFrame({"a": [None] * 5, "b": None, "c": None}).to_parquet()),
    ],
)
def test_cells_are_bounded_where_rows_and_columns_are_not_many(
    name: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_CELLS", 15)
    assert files.read(name, content, 10).shape == (5, 3)
    monkeypatch.setattr(files, "MOST_CELLS", 14)
    with pytest.raises(FileError, match="more than 14 cells"):
        files.read(name, content, 10)


def test_an_index_that_pandas_kept_is_a_column_or_nothing() -> None:
    twice = pd.concat([pd.DataFrame({"text": ["a", "b"]})] * 2)
    frame = files.read("a.parquet", twice.to_parquet(), 10)
    assert frame.index.tolist() == [0, 1, 2, 3]
    assert frame.columns.tolist() == ["text"]
    named = pd.DataFrame({"text": ["a", "b"], "review_id": [7, 5]}).set_index("review_id")
    frame = files.read("a.parquet", named.to_parquet(), 10)
    assert frame["review_id"].tolist() == [7, 5]
    assert frame.index.tolist() == [0, 1]


def test_whatever_a_column_misses_is_an_empty_text() -> None:
    column = pd.array(["a", None], dtype="string")
    packed = pd.DataFrame({"text": column}).to_parquet()
    assert files.texts(files.read("a.parquet", packed, 10), "text") == ["a", ""]
    assert files.texts(pd.DataFrame({"text": column}), "text") == ["a", ""]
    assert files.texts(pd.DataFrame({"text": [["a", "b"], 1.5, float("nan")]}), "text") == [
        "['a', 'b']",
        "1.5",
        "",
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ndjson", b"\n".join(json.dumps({f"review-{n}": "x"}).encode() for n in range(1001))),
        ("a.csv", b",".join(b"c%d" % n for n in range(1001)) + b"\nx\n"),
    ],
)
def test_a_table_that_grows_with_its_square_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(FileError, match="more than 1,000 columns"):
        files.read(name, content, 10_000)


def parquet(table: pa.Table) -> bytes:
    packed = io.BytesIO()
    pq.write_table(table, packed)
    return packed.getvalue()


def test_bytes_of_parquet_are_text() -> None:
    content = parquet(pa.table({"text": pa.array(["Schön —".encode()], pa.binary())}))
    frame = files.read("a.parquet", content, 10)
    assert files.texts(frame, "text") == ["Schön —"]


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    with pytest.raises(FileError, match="several columns of one name"):
        files.read("a.parquet", parquet(table), 10)


def test_an_empty_column_is_not_where_the_texts_are() -> None:
    frame = files.read("a.ndjson", b'{"a": null, "b": "a longer text"}\n', 10)
    assert files.text_column(frame) == "b"
