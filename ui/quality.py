"""How well labels were met: accuracy, F1 and the confusion matrix."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Quality:
    accuracy: float
    f1: float
    """The mean over the classes, each counted alike."""
    rows: int
    classes: tuple[str, ...]
    confusion: Counter[tuple[str, str]]
    """How many rows have a given label and a found one."""


def matched(given: Sequence[str], labels: Sequence[str]) -> list[str | None]:
    """Bring a file's labels to the model's: by name, or numbers by the model's own order."""
    names = {label.casefold(): label for label in labels}
    texts = [text.strip() for text in given]
    named = [names.get(text.casefold()) for text in texts]
    if any(named):
        return named
    numbered = [_numbered(text, labels) for text in texts]
    # One that is no class's number, and the others may be counted from 1, or be no labels at all.
    sure = all(label is not None for text, label in zip(texts, numbered, strict=True) if text)
    return numbered if sure else [None] * len(texts)


def common(given: Sequence[str | None], found: Iterable[Sequence[str | None]]) -> list[str | None]:
    """Keep the given labels of the rows that all have found one for."""
    return [
        label if None not in others else None for label, *others in zip(given, *found, strict=True)
    ]


def _numbered(text: str, labels: Sequence[str]) -> str | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not number.is_integer():
        return None
    # Where each label has a number in its name, as `4 stars` has, that is the one that is meant.
    own = {int(found[0]): label for label in labels if len(found := NUMBER.findall(label)) == 1}
    if len(own) == len(labels):
        return own.get(int(number))
    return labels[int(number)] if 0 <= number < len(labels) else None


def quality(
    given: Sequence[str | None], found: Sequence[str | None], labels: Sequence[str]
) -> Quality | None:
    """Judge the rows that have both labels; nothing where there are none."""
    pairs = [(g, f) for g, f in zip(given, found, strict=True) if g is not None and f is not None]
    if not pairs:
        return None
    classes = (*labels, *sorted({f for _, f in pairs} - set(labels)))
    givens, founds = Counter(g for g, _ in pairs), Counter(f for _, f in pairs)
    confusion = Counter(pairs)
    right = sum(confusion[label, label] for label in classes)
    f1 = [
        2 * confusion[label, label] / (givens[label] + founds[label])
        for label in classes
        if givens[label] + founds[label]
    ]
    return Quality(right / len(pairs), sum(f1) / len(f1), len(pairs), classes, confusion)
