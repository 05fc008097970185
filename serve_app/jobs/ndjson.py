"""NDJSON files as typed columns: the types of all rows first, then the rows piece by piece.

Ray Data's own reader holds a file whole, several times over, guesses the types from its beginning,
and its message for a line that does not fit names another line.
"""

import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from ray.data.datasource import FileBasedDatasource

PIECE = 10_000
"""Rows held at a time."""
Row = dict[str, Any]


class LineError(Exception):
    """A line does not do; the message begins with its number."""


class NdjsonSource(FileBasedDatasource):  # type: ignore[misc]
    """The files for Ray Data, with the types that `schema_of` found."""

    def __init__(self, paths: Sequence[str], types: pa.Schema) -> None:
        super().__init__(list(paths))
        self._types = types

    def _read_stream(self, f: Any, path: str) -> Iterator[pa.Table]:
        rows = (row for _, row in numbered(f))
        while piece := list(itertools.islice(rows, PIECE)):
            yield table(piece, self._types)


def numbered(stream: Any) -> Iterator[tuple[int, Row]]:
    """The rows of a binary stream, each with the number of its line.

    Raises:
        LineError: a line is not UTF-8, no JSON or no object.
    """
    buffered = io.BufferedReader(stream, 1 << 20)
    try:
        for number, line in enumerate(buffered, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield number, _row(text)
            except UnicodeDecodeError:
                raise LineError(f"line {number} is not UTF-8 text") from None
            except json.JSONDecodeError as error:
                where = f"{error.msg}, character {error.colno}"
                raise LineError(f"line {number} is no JSON: {where}") from None
            except (TypeError, RecursionError):
                raise LineError(f"line {number} is no JSON object of columns") from None
    finally:
        buffered.detach()  # or it closed the stream, which is the caller's


def schema_of(rows: Iterable[Row], text_column: str) -> pa.Schema:
    """One type a column that holds all its values; where none does, text.

    Args:
        text_column: is text in any case.
    """
    rows = iter(rows)
    types: dict[str, pa.DataType] = {}
    while piece := list(itertools.islice(rows, PIECE)):
        names = dict.fromkeys(name for row in piece for name in row)
        for name in names:
            found = _type([row.get(name) for row in piece])
            types[name] = _common(types.get(name, pa.null()), found)
    if text_column in types:
        types[text_column] = pa.string()
    return pa.schema(
        (name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in types.items()
    )


def joined(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The types of several files' rows."""
    types: dict[str, pa.DataType] = {}
    for field in itertools.chain.from_iterable(schemas):
        types[field.name] = _common(types.get(field.name, pa.null()), field.type)
    return pa.schema(types.items())


def table(rows: Sequence[Row], types: pa.Schema) -> pa.Table:
    """The rows as columns; in a column of text, what is none stands as its JSON."""
    columns = []
    for field in types:
        values = [row.get(field.name) for row in rows]
        if pa.types.is_string(field.type):
            values = [value if value is None else as_text(value) for value in values]
        # Whole numbers among fractions are fractions, as far as those reach.
        columns.append(pa.array(values, field.type, safe=False))
    return pa.table(columns, schema=types)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _row(line: str) -> Row:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise TypeError(type(row).__name__)
    if "\\ud" in line.casefold():  # half a character, as what cuts texts within an emoji leaves one
        whole = json.dumps(row, ensure_ascii=False).encode("utf-8", "replace")
        row = json.loads(whole)
    found: Row = row
    return found


def _type(values: list[Any]) -> pa.DataType:
    try:
        kind = pa.array(values).type
    except (pa.ArrowException, OverflowError):
        return pa.string()
    # Parquet has no record without a field.
    return pa.string() if kind == pa.struct([]) else kind


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    schemas = [pa.schema([("", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return pa.string()
