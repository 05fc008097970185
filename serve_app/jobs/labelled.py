"""Files of texts with the labels that they should get, for `sentiment compare` and `prepare`."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.jobs.kinds import KINDS

COLUMNS = ("sentence", "label")
"""Of texts and labels, unless others are named."""


class LabelledError(Exception):
    """The file does not do; the message is one sentence that says why."""


@dataclass(frozen=True)
class Labelled:
    """Texts and the index of each one's label; None where the file has no labels."""

    texts: list[str]
    labels: list[int] | None


def read(path: Path, text: str, label: str | None, labels: Sequence[str]) -> Labelled:
    """A CSV, TSV or NDJSON file with a column of texts and, where there is one, of labels.

    Args:
        label: the column; None to look for none.
        labels: the model's; the file names one or gives its index.

    Raises:
        LabelledError: it cannot be read, has no such column, a row without it, or a label that the
            model has not.
    """
    rows = _rows(path)
    if label is None or label not in rows[0]:  # flips and speed can be had without
        _require(path, rows, [text])
        return Labelled(_texts(rows, text), None)
    _require(path, rows, [text, label])
    # Where two differ in case alone, it tells them apart.
    lower = len({name.lower() for name in labels}) == len(labels)
    names = [name.lower() if lower else name for name in labels]
    known = {str(number): number for number in range(len(names))}
    known |= {name: number for number, name in enumerate(names)}  # one may be named "0"
    found = []
    for number, row in enumerate(rows, start=1):
        given = str(row[label]).strip()
        index = known.get(given.lower() if lower else given)
        if index is None:
            raise LabelledError(
                f"{path}, row {number} has the label {given!r}; the model has {', '.join(labels)}"
                f" (or 0 to {len(labels) - 1})."
            )
        found.append(index)
    return Labelled(_texts(rows, text), found)


def require(path: Path) -> None:
    """Nothing, if `sentiment prepare` can measure with it; the labels are not looked at.

    Raises:
        LabelledError: it cannot be read, lacks one of `COLUMNS`, or has a row without or a blank
            sentence.
    """
    rows = _rows(path)
    _require(path, rows, COLUMNS)
    for number, sentence in enumerate(_texts(rows, COLUMNS[0]), start=1):
        if not sentence.strip():
            raise LabelledError(f"{path}, row {number} has a blank sentence: leave it out.")


def _rows(path: Path) -> list[dict[str, Any]]:
    """Of the file; there is one at least."""
    kind = KINDS.get(path.suffix.lower().removeprefix("."))
    if kind == "parquet" or path.suffix == ".gz":
        raise LabelledError(f"{path} is no plain CSV, TSV or NDJSON file.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if kind == "ndjson":
                rows = [_row(path, *line) for line in enumerate(file, start=1) if line[1].strip()]
            else:
                rows = _table(path, list(file), kind)
    except UnicodeDecodeError:
        raise LabelledError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    except (OSError, csv.Error) as error:
        raise LabelledError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise LabelledError(f"{path} has no rows.")
    return rows


def _table(path: Path, lines: list[str], kind: str | None) -> list[dict[str, Any]]:
    if kind == "tsv" or (kind is None and "\t" in "".join(lines[:1])):
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.DictReader(lines)
    return list(reader)


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise LabelledError(f"{path}, line {number} is no JSON: {error}") from None
    if not isinstance(row, dict):
        raise LabelledError(f"{path}, line {number} is no JSON object of columns.")
    return row


def _require(path: Path, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    for name in columns:
        if name not in rows[0]:
            have = ", ".join(filter(None, rows[0])) or "none"
            raise LabelledError(f"{path} has no column {name!r}, but {have}: see --help.")
        for number, row in enumerate(rows, start=1):
            if row.get(name) is None:
                raise LabelledError(f"{path}, row {number} has no {name!r}: give it one.")
    for number, row in enumerate(rows, start=1):
        if None in row:  # where csv puts them
            raise LabelledError(f"{path}, row {number} has more fields than the header.")


def _texts(rows: list[dict[str, Any]], column: str) -> list[str]:
    # Half a character, as what cuts texts within an emoji leaves one, is no text for a tokenizer.
    return [str(row[column]).encode("utf-8", "replace").decode() for row in rows]
