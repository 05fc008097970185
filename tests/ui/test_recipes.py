import shlex

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


def test_a_name_cannot_become_a_command() -> None:
    words = shlex.split(line("csv", "$(rm -rf ~).csv", "';ls").replace("\\\n", " "))
    assert "$(rm -rf ~).csv" in words
