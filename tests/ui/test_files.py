import io
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ui import files
from ui.files import FileError


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
