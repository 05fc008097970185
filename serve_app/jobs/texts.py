"""Texts: the fixed set that every preparation is measured with, and files of labelled ones."""

import csv
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from serve_app.jobs.errors import PrepareError

GOLDEN = 64
"""How many of the fixed texts every replica replays at its start."""

_LONG = (-2, -4, -8, -12, -30)
"""Long texts are the last so many of the file joined as paragraphs: 0.2 to 2 thousand words."""


def fixed_texts() -> list[str]:
    """128 texts of every length, tone and script, none of them from a public data set.

    The order is fixed, the shortest has one word, the longest runs past the maximum length of
    every model served so far.
    """
    file = resources.files("serve_app.jobs") / "texts.json"
    texts: list[str] = json.loads(file.read_text(encoding="utf-8"))
    return texts + ["\n\n".join(texts[start:]) for start in _LONG]


def golden_texts() -> list[str]:
    """Half of the fixed texts, every second by length, so that all lengths are among them."""
    by_length = sorted(fixed_texts(), key=lambda text: (len(text), text))
    return by_length[1::2][:GOLDEN]


def class_numbers(labels: Sequence[str]) -> dict[str, int]:
    """The class that a file's label means: its name, or its number where no class has that name."""
    numbers = {str(number): number for number in range(len(labels))}
    return numbers | {name: number for number, name in enumerate(labels)}


def require_labelled(path: Path) -> None:
    """Nothing, if it is a file that `read_labelled` may do with.

    Raises:
        PrepareError: it cannot be read or has another header.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            if file.readline().rstrip("\r\n") != "sentence\tlabel":
                raise PrepareError(f"{path} does not start with the header sentence<TAB>label")
    except (OSError, UnicodeDecodeError) as error:
        raise PrepareError(f"{path} cannot be read: {error}") from error


def read_labelled(path: Path, labels: list[str]) -> tuple[list[str], list[int]]:
    """Read a tab-separated file with the header `sentence<TAB>label`.

    Args:
        path: UTF-8; a label is the index of a class or its name.
        labels: the model's class names, in order.

    Returns:
        The sentences and the index of each one's class.

    Raises:
        PrepareError: the file is missing, empty or has a line that cannot be understood.
    """
    require_labelled(path)
    index = class_numbers(labels)
    sentences: list[str] = []
    classes: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            next(rows)
            for number, row in enumerate(rows, start=2):
                if len(row) != 2 or row[1].strip() not in index or not row[0].strip():
                    raise PrepareError(
                        f"{path}, line {number}: expected a sentence, a tab and one of"
                        f" {', '.join(labels)} (or its number)"
                    )
                sentences.append(row[0])
                classes.append(index[row[1].strip()])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PrepareError(f"{path} cannot be read: {error}") from error
    if not sentences:
        raise PrepareError(f"{path} holds no sentence")
    return sentences, classes
