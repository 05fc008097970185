"""What a teacher thinks of texts: a tab-separated file of text and probability of `POSITIVE`."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from training.data import NEGATIVE, POSITIVE, Row, read_column
from training.errors import TrainingError
from training.files import write_atomically


class Taught(NamedTuple):
    # The training rows, with the teacher's opinion in their targets.
    rows: list[Row]
    # Texts that only the teacher has judged.
    transfer: list[Row]


def write_opinions(path: Path, opinions: Mapping[str, float]) -> None:
    lines = ["sentence\tpositive", *(f"{text}\t{p:.4f}" for text, p in opinions.items())]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def read_opinions(path: Path) -> dict[str, float]:
    texts, numbers = read_column(path, "sentence"), read_column(path, "positive")
    try:
        return dict(zip(texts, map(float, numbers), strict=True))
    except ValueError as error:
        raise TrainingError(f"{path} is not a teacher's file: {error}.") from error


def taught(rows: list[Row], opinions: Mapping[str, float], share: float) -> Taught:
    """`rows` with the teacher's `share` in their targets, and the texts that are no row's."""
    known = {row.text for row in rows}
    learnt = [
        row._replace(taught=share * opinions[row.text] + (1 - share) * row.label)
        if row.text in opinions
        else row
        for row in rows
    ]
    transfer = [
        Row(text, POSITIVE if positive > 0.5 else NEGATIVE, positive)
        for text, positive in opinions.items()
        if text not in known
    ]
    return Taught(learnt, transfer)
