"""What the files of `sentiment score` hold: a fault is found before the long part, and named."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from serve_app.jobs import ndjson
from serve_app.jobs.output import Output, ScoreError
from serve_app.jobs.rows import Inputs, inputs


def found(path: Path, content: str | bytes, ident: str | None = "id") -> tuple[int, pa.Schema]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    seen = inputs([str(path)], "input", ident).look_through()
    return seen.rows, seen.types


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.ndjson", '{"id":1,"input":"a"}\n{"id":2', "line 2 is no JSON: Expecting"),
        ("a.ndjson", '{"id":1,"input":"a"}\n\n[2]\n', "line 3 is no JSON object of columns"),
        ("a.ndjson", '{"a":' * 9999, "line 1 is no JSON object of columns"),
        ("a.ndjson", b'{"id":1,"input":"\xe9"}\n', "line 1 is not UTF-8 text"),
        ("a.ndjson", '{"id":1,"input":"a"}\n{"id":null,"input":"b"}\n', "line 2 has no 'id'."),
        ("a.ndjson", '{"key":1,"input":"a"}\n', "line 1 has no 'id'; it has key, input."),
        (
            "a.ndjson",
            '{"id":1,"text":"a"}\n',
            "no column 'input'; --text-column names one of: id, ",
        ),
        ("a.ndjson", '{"id":0.5,"input":"a"}\n', "'id' must be texts or whole numbers"),
        ("a.ndjson", "\n", "no rows"),
        ("a.csv", "id,input\n1,a\n2,b,c\n", "Row #3: Expected 2 columns, got 3"),
        ("a.csv", b"id,input\n1,\xe9\n", "it is not UTF-8 text; save it as UTF-8."),
        ("a.csv", "id,input\n1,a\n,b\n", "row 2 has no 'id': each row needs one."),
        ("a.csv", "input\na\n", "no column 'id'; --id-column names one of: input."),
        ("a.csv", "id,input,prediction\n1,a,b\n", "has a column 'prediction' already"),
        ("a.csv", "id,input\n", "no rows"),
        ("a.csv", "", "does not read as csv"),
        ("a.tsv", "id\tinput\n\ta\n", "row 1 has no 'id'"),
        ("a.parquet", "PAR1", "does not read as parquet"),
    ],
)
def test_a_fault_is_named_with_its_place(
    name: str, content: str | bytes, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ScoreError) as fault:
        found(tmp_path / name, content)
    assert says in str(fault.value)
    assert str(tmp_path / name) in str(fault.value)
    assert str(fault.value).endswith(".")


def test_a_parquet_row_without_an_id_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"id": [1.0, 2.0, None], "input": "a"}).to_parquet(path)
    with pytest.raises(ScoreError, match="row 3 has no 'id'"):
        inputs([str(path)], "input", "id").look_through()
    assert inputs([str(path)], "input", None).look_through().rows == 3


def test_columns_of_ndjson_keep_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ndjson, "PIECE", 2)  # types that show in a later piece count as well
    rows = [
        {"id": 1234567890123456789, "input": "a", "day": "2024-01-02", "none": None, "few": []},
        {"id": 2, "input": 5, "size": 1, "odd": 1},
        {"id": 3, "input": None, "size": 0.5, "odd": "x", "few": [1]},
        {"id": 4, "input": "cut \ud83d", "odd": {"deep": True}, "void": {}},
    ]
    count, types = found(tmp_path / "a.ndjson", "\n".join(map(json.dumps, rows)))
    assert count == 4
    kinds = {field.name: str(field.type) for field in types}
    assert kinds.pop("few").startswith("list<")
    assert kinds == {
        "id": "int64", "input": "string", "day": "string", "none": "string", "size": "double",
        "odd": "string", "void": "string",
    }  # fmt: skip
    with (tmp_path / "a.ndjson").open("rb") as file:
        table = ndjson.table([row for _, row in ndjson.numbered(file)], types).to_pydict()
    assert table["id"] == [1234567890123456789, 2, 3, 4]
    assert table["input"] == ["a", "5", None, "cut ?"]
    assert table["odd"] == [None, "1", "x", '{"deep": true}']
    assert table["size"] == [None, 1.0, 0.5, None]


def test_files_together_have_types_that_hold_all_their_values(tmp_path: Path) -> None:
    for name, rows in (
        ("a", [{"id": 1, "input": "a", "n": 1, "odd": 1}]),
        ("b", [{"id": "x", "input": "b", "n": 0.5, "odd": [True]}]),
    ):
        (tmp_path / f"{name}.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [str(tmp_path / "a.ndjson"), str(tmp_path / "b.ndjson")]
    found = inputs(files, "input", "id").look_through()
    assert found.rows == 2
    kinds = {field.name: str(field.type) for field in found.types}
    assert kinds == {"id": "string", "input": "string", "n": "double", "odd": "string"}


def test_what_is_done_is_done_for_the_files_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,input\n1,a\n")
    files = inputs([str(path)], "input", "id")
    output, job = Output(str(tmp_path / "out")), {"id_column": "id"}
    output.take(job)
    columns = {"prediction_error": [None], "prediction_truncated": [True]}
    frame = pd.DataFrame({**columns, "prediction_precision": ["int8"]})
    frame.astype({"prediction_error": "string"}).to_parquet(tmp_path / "out" / "part.parquet")
    with pytest.raises(ScoreError, match="1 of 2 rows were left out, since others had their 'id'"):
        output.end(2, 1.0, files.stamps())
    assert not output.is_done(job, files.stamps())
    said = output.end(1, 1.0, files.stamps())
    assert said == "1 rows, 0 with errors, 1 longer than the model reads; the last run took 1 s."
    assert output.is_done(job, files.stamps())
    path.write_text("id,input\n1,a\n2,b\n")
    with pytest.raises(ScoreError, match="as it was before it changed"):
        output.is_done(job, files.stamps())
    path.unlink()
    assert output.is_done(job, files.stamps())


def test_a_job_is_written_down_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(str(tmp_path / "out"))
    with monkeypatch.context() as patch:
        patch.setattr("json.dumps", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            output.take({"id_column": "id"})
    assert not output.is_done({"id_column": "id"}, {})
    output.take({"id_column": "id"})
    written = (tmp_path / "out" / "_job.json").stat().st_mtime_ns
    output.take({"id_column": "id"})  # goes on: nothing to write, so nothing to lose
    assert (tmp_path / "out" / "_job.json").stat().st_mtime_ns == written
    (tmp_path / "out" / "_job.json").write_text("")
    with pytest.raises(ScoreError, match=r"_job\.json is broken"):
        output.is_done({"id_column": "id"}, {})


def test_what_cannot_be_reached_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="foo://bar cannot be reached"):
        Output("foo://bar")
    with pytest.raises(ScoreError, match="cannot be read"):
        inputs([str(tmp_path / "none.csv")], "input", None).look_through()
    closed = str(tmp_path / f"{'x' * 300}.csv")  # which root may not look at either
    with pytest.raises(ScoreError, match=rf"{closed} cannot be read: File name too long\.$"):
        inputs([closed], "input", None)
    with pytest.raises(ScoreError, match=rf"{closed} cannot be read: .*File name too long.*\.$"):
        Inputs([closed], "csv", "input", None).stamps()
    with pytest.raises(ScoreError, match="several kinds: csv, tsv"):
        inputs(["a.csv", "b.tsv"], "input", None)
