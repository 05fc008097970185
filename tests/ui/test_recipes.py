import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ui.files import Format
from ui.recipes import curl


def line(kind: Format, name: str, column: str, *, with_key: bool = False) -> str:
    return curl("http://api:8000", "onnx", name, kind, column, with_key=with_key)


def test_a_csv_is_sent_as_it_is() -> None:
    words = shlex.split(line("csv", "my file.csv", "the text").replace("\\\n", " "))
    assert words[:6] == ["curl", "-N", "-X", "POST", "-T", "my file.csv"]
    assert "Content-Type: text/csv" in words
    assert "http://api:8000/onnx/stream?text_column=the%20text" in words


@pytest.mark.parametrize(
    ("name", "words"), [("a[1].csv", ["-N", "-g"]), ("-a.csv", ["-T", "./-a.csv"])]
)
def test_curl_takes_the_name_as_it_is(name: str, words: list[str]) -> None:
    found = shlex.split(line("csv", name, "text").replace("\\\n", " "))
    at = found.index(words[0])
    assert found[at : at + 2] == words


def test_the_key_stays_a_variable() -> None:
    assert '"Authorization: Bearer $API_KEY"' in line("csv", "a.csv", "text", with_key=True)
    assert "Authorization" not in line("csv", "a.csv", "text")


def test_ndjson_has_its_field_renamed_where_needed() -> None:
    assert "jq" not in line("ndjson", "a.ndjson", "input")
    assert """jq -c '{input: .["text"]}' a.ndjson > a.input.ndjson""" in line(
        "ndjson", "a.ndjson", "text"
    )


@pytest.mark.parametrize(("kind", "name"), [("tsv", "a.tsv"), ("parquet", "a.parquet")])
def test_other_formats_become_csv_first(kind: Format, name: str) -> None:
    written = line(kind, name, "text")
    assert written.startswith("python -c ")
    assert "-T a.csv" in written


def test_a_csv_with_semicolons_gets_commas_and_keeps_its_cells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text;label\nN/A;1\n", encoding="utf-8")
    written = curl("http://api:8000", "onnx", "a.csv", "csv", "text", with_key=False, separator=";")
    turn, send = written.split("\n", 1)
    subprocess.run([sys.executable, *shlex.split(turn)[1:]], cwd=tmp_path, check=True)
    assert (tmp_path / "a.commas.csv").read_text(encoding="utf-8") == "text,label\nN/A,1\n"
    assert "-T a.commas.csv" in send


def test_a_tsv_keeps_its_cells(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("text\tlabel\nNA\t1\n", encoding="utf-8")
    turn = line("tsv", "a.tsv", "text").split("\n", 1)[0]
    subprocess.run([sys.executable, *shlex.split(turn)[1:]], cwd=tmp_path, check=True)
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "text,label\nNA,1\n"


def test_a_name_cannot_become_a_command() -> None:
    words = shlex.split(line("csv", "$(rm -rf ~).csv", "';ls").replace("\\\n", " "))
    assert "$(rm -rf ~).csv" in words
