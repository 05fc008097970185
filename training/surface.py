"""The same words as people write them: capitals, contractions, joined punctuation, typos."""

import random
import re

from training.data import Row

_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "``": '"', "''": '"'}
# The data sets split these off the word before them ("is n't", "it 's", "don 't").
_SPLIT_NOT = re.compile(r"\b(\w+) n ?'t\b|\b(\w+n) 't\b", re.IGNORECASE)
_SPLIT_CLITIC = re.compile(r" '(s|re|ve|ll|d|m)\b", re.IGNORECASE)
_SPACE_BEFORE = re.compile(r" ([.,;:?!%)\]]|\.\.\.)")
_SPACE_AFTER = re.compile(r"([(\[$#]) ")
_QUOTED = re.compile(r'" ([^"]+?) "')
_TICKED = re.compile(r"` ([^`']+?) '(?= |$)")
_LONE_I = re.compile(r"\bi\b(?!')|\bi(?=')")
_SENTENCE_START = re.compile(r"(^|[.?!] )([a-z])")
_CONTRACTIONS = {
    "is not": "isn't", "are not": "aren't", "was not": "wasn't", "were not": "weren't",
    "do not": "don't", "does not": "doesn't", "did not": "didn't", "can not": "can't",
    "cannot": "can't", "could not": "couldn't", "would not": "wouldn't", "will not": "won't",
    "should not": "shouldn't", "has not": "hasn't", "have not": "haven't", "had not": "hadn't",
    "it is": "it's", "that is": "that's", "there is": "there's", "i am": "i'm", "i have": "i've",
    "you are": "you're", "they are": "they're", "we are": "we're", "i will": "i'll",
    "you will": "you'll", "he is": "he's", "she is": "she's", "what is": "what's",
}  # fmt: skip
_CONTRACTED = re.compile(r"\b(" + "|".join(_CONTRACTIONS) + r")\b")
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    key: row[max(0, at - 1) : at] + row[at + 1 : at + 2]
    for row in _KEYS
    for at, key in enumerate(row)
}
_SHORTEST_MISTYPED = 4


def natural(text: str) -> str:
    """A pre-tokenised, lower-cased text with its spaces and capitals put right."""
    for token, sign in _BRACKETS.items():
        text = text.replace(token, sign)
    text = _SPLIT_NOT.sub(_join_not, text)
    text = _SPLIT_CLITIC.sub(r"'\1", text)
    text = _TICKED.sub(r"'\1'", text)
    text = _QUOTED.sub(r'"\1"', text)
    text = _SPACE_BEFORE.sub(r"\1", text)
    text = _SPACE_AFTER.sub(r"\1", text)
    text = _LONE_I.sub("I", text)
    return _SENTENCE_START.sub(lambda found: found[1] + found[2].upper(), text)


def contracted(text: str) -> str:
    """The text with "is not" as "isn't", "it is" as "it's" and so on, then made natural."""
    return natural(_CONTRACTED.sub(lambda found: _CONTRACTIONS[found[1]], text))


def mistyped(text: str, count: int, chance: random.Random) -> str:
    """The text with one typing mistake in each of `count` of its longer words."""
    tokens = text.split(" ")
    long = [
        at for at, word in enumerate(tokens) if word.isalpha() and len(word) >= _SHORTEST_MISTYPED
    ]
    for at in chance.sample(long, min(count, len(long))):
        tokens[at] = _mistype(tokens[at], chance)
    return " ".join(tokens)


def paragraphs(
    rows: list[Row], sizes: tuple[int, ...], count: int, chance: random.Random
) -> list[Row]:
    """Texts of several rows of one label each."""
    by_label = [[row for row in rows if row.label == label] for label in (0, 1)]
    joined = []
    for _ in range(count):
        label = chance.randrange(2)
        size = chance.choice(sizes)
        if len(by_label[label]) >= size:
            texts = [row.text for row in chance.sample(by_label[label], size)]
            joined.append(Row(" ".join(texts), label))
    return joined


def _join_not(found: re.Match[str]) -> str:
    word = found[1] or found[2]
    return word + ("n't" if found[1] else "'t")


def _mistype(word: str, chance: random.Random) -> str:
    # The first letter stays: people seldom miss it.
    at = chance.randrange(1, len(word) - 1)
    kind = chance.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[:at] + word[at] + word[at:]
    wrong = chance.choice(_NEIGHBOURS.get(word[at].lower(), word[at]))
    return word[:at] + wrong + word[at + 1 :]
