"""The model card, written from what the run measured."""

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from training.checkpoint import Validation
from training.data import POSITIVE, Row
from training.evaluate import Figure, table
from training.probes import PROBES
from training.recipe import Recipe

_TEXT = Path(__file__).with_name("card.md")
_TRIES = Path(__file__).with_name("tries.md")
_PIECED = Path(__file__).with_name("pieced.md")
# `pieced.md` is told of these weights alone.
_PIECED_SHA256 = "3ded98818559b3c8a756dbf252258dbe3e9be3cee009a5d24337ad7ad5278c9b"


class Story(NamedTuple):
    """What there is to tell of a run besides its figures on the test sets."""

    recipe: Recipe
    rows: int
    split_rows: int
    curves: dict[str, list[Validation]]
    validated: list[Figure]


def render(story: Story, sha256: str, figures: list[Figure], wrong: list[tuple[Row, float]]) -> str:
    """`card.md` with its places filled; `sha256` is that of the file of weights."""
    text = _TEXT.read_text(encoding="utf-8")
    places = {
        "sha256": sha256,
        "pieced": pieced(sha256),
        "figures": "\n".join(table(figures)),
        "recipe": "\n".join(settings(story.recipe)),
        "curve": "\n".join(_curve(story.curves)),
        "validated": "\n".join(_validated(story.validated)),
        "probes": str(len(PROBES)),
        "wrong": str(len(wrong)),
        "mistakes": "\n".join(_mistakes(wrong)),
        "tries": tries(),
        "rows": f"{story.rows:,}",
        "split_rows": f"{story.split_rows:,}",
        "sentences": f"{story.recipe.validation_sentences:,}",
        "max_length": str(story.recipe.max_length),
        "final": "all of them" if story.recipe.refit else "the rows outside the split",
    }
    for name, value in places.items():
        text = text.replace("{" + name + "}", value)
    return text


def pieced(sha256: str) -> str:
    """What these weights have of their own to tell of how they were made, if anything."""
    return _PIECED.read_text(encoding="utf-8").strip() if sha256 == _PIECED_SHA256 else ""


def tries() -> str:
    return _TRIES.read_text(encoding="utf-8").strip()


def settings(recipe: Recipe) -> list[str]:
    rows = [f"| `{name}` | {value} |" for name, value in asdict(recipe).items()]
    return ["| setting | value |", "| --- | --- |", *rows]


def _curve(curves: dict[str, list[Validation]]) -> list[str]:
    rows = [
        f"| {stage} | {row.epoch:.2f} | {row.accuracy:.4f} | {row.loss:.4f} |"
        for stage, curve in curves.items()
        for row in curve
    ]
    return ["| stage | epoch | validation accuracy | loss |", "| --- | ---: | ---: | ---: |", *rows]


def _validated(figures: list[Figure]) -> list[str]:
    rows = [f"| {figure.name} | {figure.rows} | {figure.accuracy:.4f} |" for figure in figures]
    return ["| validation set | rows | accuracy |", "| --- | ---: | ---: |", *rows]


def _mistakes(wrong: list[tuple[Row, float]]) -> list[str]:
    rows = [
        f"| {row.text} | {'praise' if row.label == POSITIVE else 'blame'} | {score:.2f} |"
        for row, score in wrong
    ]
    return ["| text | meant as | probability of `POSITIVE` |", "| --- | --- | ---: |", *rows]
