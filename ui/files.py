"""Data files as tables and back: CSV, TSV, NDJSON and Parquet."""

import io
import json
import os
import subprocess
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from ui import unpack

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
MOST_CELLS = 5_000_000
"""Rows times columns: a cell takes its place in memory also where the file has nothing for it."""

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
    _check_size(len(frame), len(frame.columns), max_rows)
    frame.columns = _names(frame.columns)
    return frame


def _check_size(rows: int, columns: int, max_rows: int) -> None:
    if columns > MOST_COLUMNS:
        raise FileError(f"The file has more than {MOST_COLUMNS:,} columns.")
    if rows > max_rows:
        raise FileError(f"The file has more than {max_rows:,} rows.")
    if rows * columns > MOST_CELLS:
        raise FileError(f"The file has more than {MOST_CELLS:,} cells, rows times columns.")


def _names(columns: Iterable[object]) -> list[str]:
    names = [str(column) for column in columns]
    if len(set(names)) < len(names):
        raise FileError("The file has several columns of one name; rename them.")
    return names


def _separated(kind: Format, content: bytes, max_rows: int) -> pd.DataFrame:
    options: dict[str, Any] = {
        "sep": dialect(kind, content).separator,
        # A TSV has no quoting: a quotation mark in it is a quotation mark.
        "quoting": 3 if kind == "tsv" else 0,
        "dtype": str,
        "keep_default_na": False,
        "skip_blank_lines": False,  # one is a row, of an empty text
    }
    content = content.removeprefix(BOM_UTF8).strip(b"\r\n")
    try:
        # As a row: pandas would number names that stand there twice.
        header = pd.read_csv(io.BytesIO(content), header=None, nrows=1, **options).iloc[0]
        _names(name for name in header if name)
        _check_size(0, len(header), max_rows)
        most = min(max_rows, MOST_CELLS // len(header))
        frame: pd.DataFrame = pd.read_csv(io.BytesIO(content), nrows=most + 1, **options)
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


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV or TSV is written; what comes back of it is written alike."""

    separator: str = ","
    bom: bool = False
    """Spreadsheets that put this mark before a file read others wrongly without it."""


def dialect(kind: Format, content: bytes) -> Dialect:
    """Tell what parts the columns: spreadsheets of some countries take semicolons."""
    lines = content[:65_536].removeprefix(BOM_UTF8).splitlines()
    header, row = (*(line for line in lines if line.strip()), b"", b"")[:2]
    if row.count(b'"') % 2:  # its last field goes on in the next line
        row = header

    def times(mark: str) -> tuple[int, int]:
        """In header and first row, quoted parts left out: a name or a text may hold one too."""
        its, of_row = (
            b"".join(line.split(b'"')[::2]).count(mark.encode()) for line in (header, row)
        )
        return min(its, of_row), its

    most = max(",;\t|", key=times)  # of equals the first
    return Dialect("\t" if kind == "tsv" else most, content.startswith(BOM_UTF8))


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
        rows.append(_whole(row) if "\\ud" in line.casefold() else row)
        _check_size(len(rows), len(names), max_rows)
    # As they came: pandas would make fractions of whole numbers where a row lacks one.
    return pd.DataFrame(rows, dtype=object)


def _whole(row: dict[str, object]) -> dict[str, object]:
    """Put a question mark for half a character, as what cuts texts within an emoji leaves one."""
    text = json.dumps(row, ensure_ascii=False).encode("utf-8", "replace")
    whole: dict[str, object] = json.loads(text)
    return whole


def _parquet(content: bytes, max_rows: int) -> pd.DataFrame:
    done = subprocess.run(
        [sys.executable, unpack.__file__, str(max_rows), str(UNPACKED_LIMIT)],
        input=content,
        capture_output=True,
        # Arrow's other pools, and a thread of OpenBLAS for each core, set memory aside unused.
        env={
            **os.environ,
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONSAFEPATH": "1",
        },
    )
    if done.returncode == unpack.TOO_MUCH or done.returncode < 0:  # ended by the system
        raise FileError(
            f"The file unpacks to more than the {UNPACKED_LIMIT / 1e6:g} MB that the page "
            "takes. Send it past the page, as below."
        )
    if done.returncode:
        raise FileError("The file does not read as Parquet.")
    table = pa.ipc.open_stream(done.stdout).read_all()
    _check_size(table.num_rows, table.num_columns, max_rows)
    try:
        # Whole numbers stay whole where a row lacks one.
        frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True)
    except pa.ArrowException as error:
        raise FileError("The file does not read as Parquet.") from error
    # An index that has a name is a column like the others, and one without says nothing.
    named = [n for n in frame.index.names if n is not None and n not in frame.columns]
    return (frame.reset_index(level=named) if named else frame).reset_index(drop=True)


def write(frame: pd.DataFrame, kind: Format, dialect: Dialect = Dialect()) -> bytes:
    """Write a table in a format it can be read from again."""
    mark = BOM_UTF8 if dialect.bom else b""
    if kind == "parquet":
        packed: bytes = frame.to_parquet(index=False)
        return packed
    if kind == "ndjson":
        # Not by pandas, which rounds what it writes.
        cells = [_natural(frame[name]) for name in frame.columns]
        rows = (dict(zip(frame.columns, row, strict=True)) for row in zip(*cells, strict=True))
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if kind == "csv":
        written: str = frame.to_csv(index=False, sep=dialect.separator)
        return mark + written.encode()
    # What would part a row or a column of a TSV becomes a blank, for it has no quoting.
    plain = frame.replace(r"[\t\r\n]+", " ", regex=True).fillna("").astype(str)
    lines = ["\t".join(row) for row in [plain.columns.tolist(), *plain.to_numpy().tolist()]]
    return mark + ("\n".join(lines) + "\n").encode()


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
