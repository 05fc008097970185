"""Rows of SST-2, and a validation split that leaks nothing into training."""

import hashlib
import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from training.errors import TrainingError

POSITIVE = 1
NEGATIVE = 0

_NOT_WORD = re.compile(r"[^a-z0-9 ]+")
# Quotes and brackets may follow the full stop of a whole sentence.
_SENTENCE_END = re.compile(r"[.?!](\s*(''|'|\"|\)|-rrb-))*$")


class Row(NamedTuple):
    text: str
    label: int
    # The probability of being positive that a teacher gave; without one the label is all there is.
    taught: float | None = None

    @property
    def target(self) -> float:
        """The probability of being positive that training aims at."""
        return float(self.label) if self.taught is None else self.taught


class Split(NamedTuple):
    train: list[Row]
    validation: list[Row]


def read_rows(path: Path, text_column: str = "sentence") -> list[Row]:
    """The rows of a tab-separated file with a header, in order."""
    lines = _lines(path)
    header = lines[0].split("\t")
    if text_column not in header or "label" not in header:
        raise TrainingError(f"{path} needs columns '{text_column}' and 'label', has {header}.")
    text_at, label_at = header.index(text_column), header.index("label")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(header) or cells[label_at] not in ("0", "1"):
            raise TrainingError(f"{path} line {number} is not a row of text and label 0 or 1.")
        rows.append(Row(cells[text_at].strip(), int(cells[label_at])))
    return rows


def read_column(path: Path, column: str) -> list[str]:
    """One column of a tab-separated file with a header, in order."""
    lines = _lines(path)
    header = lines[0].split("\t")
    if column not in header:
        raise TrainingError(f"{path} needs a column '{column}', has {header}.")
    at = header.index(column)
    return [line.split("\t")[at] for line in lines[1:]]


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TrainingError(f"{path} is missing from the data folder.") from None
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise TrainingError(f"{path} is not UTF-8 text.") from None
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < 2:
        raise TrainingError(f"{path} holds no rows.")
    return lines


def digest(rows: Iterable[Row]) -> str:
    """Names these rows in this order."""
    text = "\n".join(f"{row.target}\t{row.text}" for row in rows)
    return hashlib.sha256(text.encode()).hexdigest()


def words(text: str) -> tuple[str, ...]:
    """Words without case and punctuation: two texts with the same words are the same text."""
    return tuple(_NOT_WORD.sub("", text.lower()).split())


def without_dev(rows: Iterable[Row], dev: Iterable[Row]) -> list[Row]:
    """The rows whose words do not stand in the dev set."""
    seen = {words(row.text) for row in dev}
    return [row for row in rows if words(row.text) not in seen]


def training_rows(data: Path, dev: Iterable[Row]) -> list[Row]:
    """SST-2's rows to train and validate on, of a data folder."""
    return without_dev(read_rows(data / "sst2" / "train.tsv"), dev)


def split_validation(rows: list[Row], size: int, seed: int) -> Split:
    """Keep `size` whole sentences for validation, and train on nothing that stands in them."""
    sentences = whole_sentences(rows)
    if len(sentences) < 2 * size:
        raise TrainingError(
            f"A validation split of {size} whole sentences needs twice as many, "
            f"the training set has {len(sentences)}."
        )
    validation = random.Random(seed).sample(sentences, size)
    held = spans(validation)
    # Longer rows around a validation sentence would leak it as well, but a whole sentence is by
    # definition contained in no other row.
    return Split([row for row in rows if words(row.text) not in held], validation)


def whole_sentences(rows: list[Row]) -> list[Row]:
    """Rows that end like a sentence and are part of no other row (SST-2 does not mark them)."""
    contained: set[tuple[str, ...]] = set()
    sentences = []
    for row in sorted(rows, key=lambda row: len(words(row.text)), reverse=True):
        tokens = words(row.text)
        if not tokens or tokens in contained:
            continue
        contained.update(_spans(tokens))
        if _SENTENCE_END.search(row.text):
            sentences.append(row)
    return sentences


def spans(rows: Iterable[Row]) -> set[tuple[str, ...]]:
    """Every run of words in the rows: a text whose words are one of them stands in a row."""
    return {span for row in rows for span in _spans(words(row.text))}


def _spans(tokens: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    for start in range(len(tokens)):
        for end in range(start + 1, len(tokens) + 1):
            yield tokens[start:end]
