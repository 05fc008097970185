"""Data files as tables and back: CSV, TSV, NDJSON and Parquet."""

import io
import json
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

Format = Literal["csv", "tsv", "ndjson", "parquet"]

_BY_ENDING: dict[str, Format] = {
    "csv": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "ndjson": "ndjson",
    "jsonl": "ndjson",
    "parquet": "parquet",
}
ENDINGS = tuple(_BY_ENDING)
MIME: dict[Format, str] = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
UNPACKED_LIMIT = 200_000_000
"""Bytes a Parquet file may hold unpacked: small files can hold very much, and the page has a
gigabyte for all who use it."""

MOST_COLUMNS = 1_000
"""Rows that each have other columns make a table that grows with their square."""

_TEXT_NAMES = ("text", "input", "sentence", "review", "content", "comment", "body", "message")
_LABEL_NAMES = ("label", "sentiment", "class", "target", "category", "y")


class FileError(Exception):
    """A file the page cannot take, in a sentence."""


def format_of(name: str) -> Format:
    ending = name.rsplit(".", 1)[-1].lower()
    if ending not in _BY_ENDING:
        raise FileError(f"The page reads {', '.join(ENDINGS)} files; this one ends in .{ending}.")
    return _BY_ENDING[ending]


def read(name: str, content: bytes, max_rows: int) -> pd.DataFrame:
    """Read a file by its ending; every cell of a text format stays the text it is."""
    kind = format_of(name)
    try:
        if kind == "parquet":
            frame = _parquet(content, max_rows)
        elif kind == "ndjson":
            frame = _ndjson(content, max_rows)
        else:
            frame = _separated(kind, content, max_rows)
    except UnicodeDecodeError as error:
        raise FileError("The file is not UTF-8 text; save it as UTF-8 and try again.") from error
    if frame.empty:
        raise FileError("The file has no rows.")
    if len(frame) > max_rows:
        raise FileError(f"The file has more than {max_rows:,} rows.")
    frame.columns = [str(column) for column in frame.columns]
    if not frame.columns.is_unique:
        raise FileError("The file has several columns of one name; rename them.")
    return frame


def _check_width(columns: int) -> None:
    if columns > MOST_COLUMNS:
        raise FileError(f"The file has more than {MOST_COLUMNS:,} columns.")


def _separated(kind: Format, content: bytes, max_rows: int) -> pd.DataFrame:
    options: dict[str, Any] = {
        "sep": "\t" if kind == "tsv" else separator(content),
        # A TSV has no quoting: a quotation mark in it is a quotation mark.
        "quoting": 3 if kind == "tsv" else 0,
        "dtype": str,
        "keep_default_na": False,
        "encoding": "utf-8-sig",
    }
    try:
        header: pd.DataFrame = pd.read_csv(io.BytesIO(content), nrows=0, **options)
        _check_width(len(header.columns))
        frame: pd.DataFrame = pd.read_csv(io.BytesIO(content), nrows=max_rows + 1, **options)
    except pd.errors.EmptyDataError as error:
        raise FileError("The file is empty.") from error
    except pd.errors.ParserError as error:
        told = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise FileError(f"The file does not read as {kind.upper()}: {told}.") from error
    if not isinstance(frame.index, pd.RangeIndex):  # pandas took the first columns for row names
        raise FileError(
            "The rows have more columns than the header names; put texts that hold the separator "
            "between quotation marks."
        )
    return frame


def separator(content: bytes) -> str:
    """Tell what parts a CSV's columns: spreadsheets of some countries take semicolons."""
    header = content.split(b"\n", 1)[0]
    return ";" if b";" in header and b"," not in header else ","


def _ndjson(content: bytes, max_rows: int) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    names: set[str] = set()
    for number, line in enumerate(content.decode("utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FileError(f"Line {number} is no JSON.") from error
        if not isinstance(row, dict):
            raise FileError(f"Line {number} is no JSON object.")
        names.update(row)
        _check_width(len(names))
        rows.append(_whole(row) if "\\ud" in line.casefold() else row)
        if len(rows) > max_rows:
            break
    # As they came: pandas would make fractions of whole numbers where a row lacks one.
    return pd.DataFrame(rows, dtype=object)


def _whole(row: dict[str, object]) -> dict[str, object]:
    """Put a question mark for half a character, as what cuts texts within an emoji leaves one."""
    text = json.dumps(row, ensure_ascii=False).encode("utf-8", "replace")
    whole: dict[str, object] = json.loads(text)
    return whole


def _parquet(content: bytes, max_rows: int) -> pd.DataFrame:
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        if file.metadata.num_rows > max_rows:
            raise FileError(f"The file has more than {max_rows:,} rows.")
        _check_width(len(file.schema_arrow.names))
        batches: list[pa.RecordBatch] = []
        left = UNPACKED_LIMIT
        for batch in file.iter_batches(batch_size=1000):
            left -= batch.nbytes
            if left < 0:
                raise FileError(
                    f"The file unpacks to more than the {UNPACKED_LIMIT / 1e6:g} MB that the page "
                    "takes. Send it past the page, as below."
                )
            batches.append(batch)
        table = pa.Table.from_batches(batches, file.schema_arrow)
        # Whole numbers stay whole where a row lacks one.
        frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True)
        # An index that has a name is a column like the others, and one without says nothing.
        named = [n for n in frame.index.names if n is not None and n not in frame.columns]
        return (frame.reset_index(level=named) if named else frame).reset_index(drop=True)
    except (pa.ArrowException, OSError) as error:
        raise FileError("The file does not read as Parquet.") from error


def write(frame: pd.DataFrame, kind: Format) -> bytes:
    """Write a table in a format it can be read from again."""
    if kind == "parquet":
        packed: bytes = frame.to_parquet(index=False)
        return packed
    if kind == "ndjson":
        # Not by pandas, which rounds what it writes.
        cells = [_natural(frame[name]) for name in frame.columns]
        rows = (dict(zip(frame.columns, row, strict=True)) for row in zip(*cells, strict=True))
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if kind == "csv":
        written: str = frame.to_csv(index=False)
        return written.encode()
    # What would part a row or a column of a TSV becomes a blank, for it has no quoting.
    plain = frame.replace(r"[\t\r\n]+", " ", regex=True).fillna("").astype(str)
    lines = ["\t".join(row) for row in [plain.columns.tolist(), *plain.to_numpy().tolist()]]
    return ("\n".join(lines) + "\n").encode()


def _natural(column: pd.Series) -> list[object]:
    """The cells as Python has them; None where there is none."""
    missing = column.isna()
    return [None if gone else cell for cell, gone in zip(column.tolist(), missing, strict=True)]


def text_column(frame: pd.DataFrame) -> str:
    """Guess where the texts are: by name, else where most is written."""
    for name in frame.columns:
        if name.lower() in _TEXT_NAMES:
            return str(name)
    sample = frame.head(200)
    return max(
        map(str, frame.columns),
        key=lambda name: sample[name].dropna().map(_text).str.len().sum(),
    )


def label_column(frame: pd.DataFrame) -> str | None:
    """Guess where the labels are, by name."""
    return next((str(n) for n in frame.columns if n.lower() in _LABEL_NAMES), None)


def texts(frame: pd.DataFrame, column: str) -> list[str]:
    """Take a column as texts; what is missing is an empty text, which the service refuses."""
    cells = zip(frame[column], frame[column].isna(), strict=True)
    return ["" if missing else _text(value) for value, missing in cells]


def _text(value: object) -> str:
    # Some writers of Parquet do not say that their bytes are text.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
