"""How a label looks, whatever a model calls its classes: always a word, a colour and an icon."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

BadgeColour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]


@dataclass(frozen=True, slots=True)
class Look:
    badge: BadgeColour
    colour: str
    """The same colour for charts; readable on light and on dark ground."""
    icon: str


POSITIVE = Look("green", "#2f9e5b", ":material/sentiment_satisfied:")
NEGATIVE = Look("red", "#d64550", ":material/sentiment_dissatisfied:")
NEUTRAL = Look("gray", "#8a93a3", ":material/sentiment_neutral:")

_KNOWN: dict[str, Look] = {
    **dict.fromkeys(("positive", "pos", "very positive", "4 stars", "5 stars"), POSITIVE),
    **dict.fromkeys(("negative", "neg", "very negative", "1 star", "2 stars"), NEGATIVE),
    **dict.fromkeys(("neutral", "mixed", "3 stars"), NEUTRAL),
}
_OTHERS = (
    Look("blue", "#3d7be0", ":material/sell:"),
    Look("violet", "#8b62d9", ":material/bookmark:"),
    Look("orange", "#d97a26", ":material/flag:"),
    Look("yellow", "#b8930f", ":material/star:"),
    Look("gray", "#1f9aa8", ":material/label:"),
    Look("violet", "#c2559d", ":material/favorite:"),
)


def look(label: str, labels: Sequence[str] = ()) -> Look:
    """Give a label its look: the same one in every session and on every page."""
    known = _KNOWN.get(plain(label).casefold())
    if known:
        return known
    place = labels.index(label) if label in labels else zlib.crc32(label.encode())
    return _OTHERS[place % len(_OTHERS)]


def plain(label: str) -> str:
    """Write a label as a word: `VERY_POSITIVE` as `Very positive`."""
    words = label.replace("_", " ").strip()
    return words.capitalize() if words.isupper() or words.islower() else words
