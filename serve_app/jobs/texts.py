"""The fixed set of texts that every preparation is measured with."""

import json
from importlib import resources

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
