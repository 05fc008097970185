"""Texts to measure with: as long as people's sentences, no two alike, always the same ones."""

import random

WORDS = (
    "the a of and to is in it that film movie story with as but its this for an be on you one "
    "characters comedy drama director performances funny moving dull clever bright script never "
    "always too much little best worst heart mind picture scene time way work life people "
    "nothing something every good bad great love hate feels looks seems makes takes gives"
).split()


def texts(count: int, seed: int = 7) -> list[str]:
    """`count` texts of 3 to 60 words, 19 on average, as the sentences of SST-2 are."""
    dice = random.Random(seed)
    lengths = [min(60, max(3, round(dice.gammavariate(3.6, 5.3)))) for _ in range(count)]
    return [" ".join(dice.choices(WORDS, k=length)) + f" {n}." for n, length in enumerate(lengths)]
