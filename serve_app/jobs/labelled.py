"""The texts that `sentiment compare` is given, with the labels that they should get."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serve_app.jobs.rows import KINDS
from serve_app.jobs.texts import class_numbers


class CompareError(Exception):
    """The file does not do; the message is one sentence that says why."""


@dataclass(frozen=True)
class Labelled:
    """Texts and the index of each one's label; None where the file has no labels."""

    texts: list[str]
    labels: npt.NDArray[np.int64] | None


def read(path: Path, text: str, label: str | None, labels: Sequence[str]) -> Labelled:
    """A CSV, TSV or NDJSON file with a column of texts and, where there is one, of labels.

    Args:
        label: the column; None to look for none.
        labels: the model's; the file names one or gives its index.

    Raises:
        CompareError: it cannot be read, has no such column, a row without it, or a label that the
            model has not.
    """
    kind = KINDS.get(path.suffix.lower().removeprefix("."))
    if kind == "parquet" or path.suffix == ".gz":
        raise CompareError(f"{path} is no plain CSV, TSV or NDJSON file.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if kind == "ndjson":
                rows = [_row(path, *line) for line in enumerate(file, start=1) if line[1].strip()]
            elif kind == "tsv":
                rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
            else:
                rows = list(csv.DictReader(file))
    except UnicodeDecodeError:
        raise CompareError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    except (OSError, csv.Error) as error:
        raise CompareError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise CompareError(f"{path} has no rows.")
    columns = list(rows[0])
    if text not in columns:
        have = ", ".join(filter(None, columns)) or "none"
        raise CompareError(f"{path} has no column {text!r}, but {have}: see --text-column.")
    for number, row in enumerate(rows, start=1):
        for name in (text, label) if label in columns else (text,):
            if row.get(name) is None:
                raise CompareError(f"{path}, row {number} has no {name!r}: give it one.")
    # Half a character, as what cuts texts within an emoji leaves one, is no text for a tokenizer.
    texts = [str(row[text]).encode("utf-8", "replace").decode() for row in rows]
    if label is None or label not in columns:  # flips and speed can be had without
        return Labelled(texts, None)
    # Where two differ in case alone, it tells them apart.
    lower = len({name.lower() for name in labels}) == len(labels)
    names = [name.lower() if lower else name for name in labels]
    given = [str(row[label]).strip() for row in rows]
    known = class_numbers(names)
    found = [known.get(name.lower() if lower else name) for name in given]
    if None in found:
        wrong = rows[found.index(None)][label]
        raise CompareError(
            f"{path} has the label {wrong!r}; the model has {', '.join(labels)}"
            f" (or 0 to {len(labels) - 1})."
        )
    return Labelled(texts, np.array(found))


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise CompareError(f"{path}, line {number} is no JSON: {error}") from None
    if not isinstance(row, dict):
        raise CompareError(f"{path}, line {number} is no JSON object of columns.")
    return row
