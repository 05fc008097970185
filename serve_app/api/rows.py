"""The rows of a streamed data set: NDJSON lines or CSV records, each a text or what is wrong.

Both parsers are fed the upload piece by piece and give the rows that are complete.
"""

import csv
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from serve_app.api.body import parse
from serve_app.api.errors import INVALID, ProblemError
from serve_app.api.schemas import check_text, quoted

_BOM = "\ufeff".encode()
LONGEST_ID = 1024
"""Bytes of a row's `id`, as it is sent back."""
MOST_COLUMNS = 1000
MOST_FIELDS = 10 * MOST_COLUMNS
"""Of a record of CSV; one of commas alone would hold the event loop while they are counted."""
_TOO_MANY = f"The row has more than {MOST_FIELDS} fields."
SHOWN_COLUMNS = 20
LARGEST = 2.0**64
"""The JSON parser makes larger whole numbers floats."""
_CLOSED = rb'[^"]*+(?:""[^"]*+)*+"'
"""What follows a field's opening quote, to the one that closes it."""
_END = rb"[^,]*+(?:,|\Z)"
_FIELDS = re.compile(rb'(?:(?:"' + _CLOSED + rb'|(?!"))' + _END + rb"){0,%d}+" % MOST_FIELDS)
"""Whole fields. A quote opens one only where it begins; elsewhere it is a character (RFC 4180)."""
_REST = re.compile(_CLOSED + _END)
"""Of a field that began in an earlier line."""
_OPEN = re.compile(rb'"[^"]*+(?:""[^"]*+)*+\Z')
"""A field that a later line closes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the data set.

    Attributes:
        id: the row's own, or its number from 0.
        text: None where there is an error.
        error: a sentence.
    """

    id: Any
    text: str | None
    error: str | None = None


class Rows(ABC):
    """Bytes in, rows out.

    Args:
        limit: longest row in bytes; a longer one is an error in its place.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False
        self._number = 0

    def feed(self, piece: bytes) -> Iterator[Row]:
        """The rows that `piece` completes, parsed as they are taken; take all of them."""
        # Only the new piece is looked through: a line may come byte by byte.
        first, *others = piece.split(b"\n")
        self._rest += first
        whole: list[bytes] = []
        if others:
            whole = [bytes(self._rest), *others[:-1]]
            self._rest = bytearray(others[-1])
        for line in whole:
            too_long = self._skipping or self._longer(line)
            self._skipping = False
            rows: list[Row] = []
            self._line(None if too_long else line.removesuffix(b"\r"), rows)
            yield from rows
        if self._longer(self._rest):
            self._skipping, self._rest = True, bytearray()

    def end(self) -> list[Row]:
        """The rows that the end of the upload completes."""
        rows: list[Row] = []
        if self._skipping:
            self._line(None, rows)
        elif self._rest:
            self._line(bytes(self._rest).removesuffix(b"\r"), rows)
        self._last(rows)
        return rows

    @abstractmethod
    def _line(self, line: bytes | None, rows: list[Row]) -> None:
        """Take one line, None if it was too long, and append the rows it completes."""

    @abstractmethod
    def _last(self, rows: list[Row]) -> None:
        """Append what is left after the last line."""

    def _longer(self, line: bytes | bytearray) -> bool:
        """Whether a line is longer than a row may be, its end not counted."""
        return len(line) - line.endswith(b"\r") > self._limit

    def _append(self, rows: list[Row], row: Row) -> None:
        rows.append(row)
        self._number += 1

    @property
    def _too_long(self) -> str:
        return f"The row is longer than {self._limit} bytes."


class NdjsonRows(Rows):
    """Lines of `{"input": "…", "id": any}`; blank lines are no rows."""

    def _line(self, line: bytes | None, rows: list[Row]) -> None:
        if line is None:
            self._append(rows, Row(self._number, None, self._too_long))
        elif line.strip():
            self._append(rows, self._parsed(line))

    def _last(self, rows: list[Row]) -> None:
        """A line is complete by itself."""

    def _parsed(self, line: bytes) -> Row:
        try:
            value = parse(line)
        except ProblemError as problem:
            return Row(self._number, None, problem.detail.replace("The body", "The row"))
        if not isinstance(value, dict):
            return Row(self._number, None, "The row must be a JSON object with the field `input`.")
        row = value.get("id", self._number)
        try:
            # As it stands in the answer, since how deep it is nested counts.
            long = len(orjson.dumps({"id": row})) - len('{"id":}') > LONGEST_ID
        except TypeError as error:  # a lone surrogate, or nested too deeply
            return Row(self._number, None, f"The row's `id` cannot be sent back: {error}.")
        if long:
            return Row(self._number, None, f"The row's `id` is longer than {LONGEST_ID} bytes.")
        if isinstance(row, float) and abs(row) >= LARGEST:  # another id may have become the same
            return Row(self._number, None, "The row's `id` is too large a number; send a text.")
        if "input" not in value:
            return Row(row, None, "The field `input` is missing.")
        return _checked(row, value["input"], "input")


class CsvRows(Rows):
    """Records below a header; a quoted field may hold line ends.

    Args:
        column: the header's name of the texts. A column `id`, if there is one, names the rows.
    """

    def __init__(self, limit: int, column: str) -> None:
        super().__init__(limit)
        # The library's own limit of a field, one for the whole process, is 131,072 characters.
        csv.field_size_limit(max(csv.field_size_limit(), limit))
        self._column = column
        self._header: list[str] | None = None
        self._text_at = 0
        self._id_at: int | None = None
        self._open = bytearray()
        self._quoted = False
        self._refused = False  # the record that is open was too long

    def _line(self, line: bytes | None, rows: list[Row]) -> None:
        # Each line is looked at once, however many a quoted field holds.
        fault = self._too_long
        quoted: bool | None = None
        if line is not None:
            if self._header is None and not self._open:
                line = line.removeprefix(_BOM)
            quoted = _ends_quoted(line, self._quoted)
            if quoted is None:
                line, fault = None, _TOO_MANY
            elif not self._refused:
                self._open += line
        self._quoted = bool(quoted)  # where it is not known, a quote may have closed
        if not self._refused and (line is None or len(self._open) > self._limit):
            if self._header is None:
                raise _bad_header(fault.replace("The row", "The CSV's header"))
            self._append(rows, Row(self._number, None, fault))
            self._refused, self._open = True, bytearray()
        if self._quoted:  # the field goes on in the next line
            if not self._refused:
                self._open += b"\n"
            return
        record = bytes(self._open)
        self._refused, self._open = False, bytearray()
        if record.strip():
            self._record(record, rows)

    def _last(self, rows: list[Row]) -> None:
        if self._open:
            self._append(rows, Row(self._number, None, "The row's last quote is not closed."))

    def _record(self, record: bytes, rows: list[Row]) -> None:
        """
        Raises:
            ProblemError: 422, it is the header and has no such column.
        """
        fields: list[str] = []
        fault = _TOO_MANY if _has_too_many(record) else ""
        try:
            fields = [] if fault else next(csv.reader([record.decode()], strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            fault = f"The row is no CSV in UTF-8: {error}."
        if self._header is None:
            if fault:
                raise _bad_header(fault.replace("The row", "The CSV's header"))
            self._header = self._checked_header(fields)
            self._text_at = fields.index(self._column)
            self._id_at = fields.index("id") if "id" in fields else None
        elif not fields:
            self._append(rows, Row(self._number, None, fault))
        elif len(fields) != len(self._header):
            sentence = f"The row has {len(fields)} fields, the header {len(self._header)}."
            self._append(rows, Row(self._number, None, sentence))
        else:
            row = self._number if self._id_at is None else fields[self._id_at]
            if isinstance(row, str) and len(row) > LONGEST_ID:
                sentence = f"The row's `id` is longer than {LONGEST_ID} characters."
                self._append(rows, Row(self._number, None, sentence))
            else:
                self._append(rows, _checked(row, fields[self._text_at], self._column))

    def _checked_header(self, fields: list[str]) -> list[str]:
        """
        Raises:
            ProblemError: 422, it has not the column once, or too many.
        """
        have = ", ".join(map(quoted, fields[:SHOWN_COLUMNS])) or "none"
        have += ", …" * (len(fields) > SHOWN_COLUMNS)
        if len(fields) > MOST_COLUMNS:
            detail = f"The CSV has {len(fields)} columns; it may have {MOST_COLUMNS}."
        elif self._column not in fields:
            detail = f"The CSV has no column {quoted(self._column)}; it has {have}."
        elif twice := [name for name in (self._column, "id") if fields.count(name) > 1]:
            detail = f"The CSV has several columns {quoted(twice[0])}; it has {have}."
        else:
            return fields
        raise _bad_header(detail)


def _bad_header(detail: str) -> ProblemError:
    return ProblemError(INVALID, detail, field="text_column")


def _has_too_many(record: bytes) -> bool:
    """Whether it has more fields than it may; of one line that is known by then."""
    if record.count(b",") < MOST_FIELDS:
        return False
    fields = _FIELDS.match(record)
    return fields is None or fields.end() < len(record)


def _ends_quoted(line: bytes, within: bool) -> bool | None:
    """Whether a line of CSV ends within a quoted field, given whether it begins within one.

    None where it has more fields than are looked at.
    """
    at = 0
    if within:
        rest = _REST.match(line)
        if rest is None:
            return True
        at = rest.end()
        if at == len(line) and not line.endswith(b","):
            return False
    fields = _FIELDS.match(line, at)
    assert fields is not None  # it may be empty
    if fields.end() == len(line):
        return False
    return True if _OPEN.match(line, fields.end()) else None


def _checked(row: Any, text: Any, field: str) -> Row:
    try:
        check_text(text, field)
    except ProblemError as problem:
        return Row(row, None, problem.detail)
    return Row(row, text)
