"""Frames: SST-2's short judgements in sentences of which grammar says what counts.

What was is not what is; what others say is not what the writer says; a question means what its
answer says; a denial turns what it denies, even from afar. That a model of sentiment should know
these is CheckList's (Ribeiro et al., 2020); none of its rows served for a frame, and no three words
in a row of a frame stand in one.
"""

import random

from training.contrast import complement
from training.data import NEGATIVE, POSITIVE, Row

_LONGEST = 6
# Of a doubtful judgement the frame would be doubtful too.
_LEAST_SURE = 0.9

_SUBJECTS = (
    "it", "it", "this", "the film", "the story", "the book", "the phone", "the food", "the hotel",
    "the shop", "the game", "the course", "the new one",
)  # fmt: skip
_ASIDES = ("to be honest", "after all these years", "when i look back", "having tried it twice")
# The first judgement does not count, the second does.
_PAIRS = (
    "{it} used to be {no} , but now {it} is {yes}",
    "{it} is {yes} now , although {it} used to be {no}",
    "at first i found {it} {no} , today i find {it} {yes}",
    "once {no} , {it} is now {yes}",
    "some say {it} is {no} , but i say {it} is {yes}",
    "i think {it} is {yes} , even if others call {it} {no}",
    "my friends told me {it} was {no} ; i found {it} {yes}",
    "i expected {it} to be {no} , and {it} was {yes}",
    "{it} could have been {no} , but {it} is {yes}",
)
_AFFIRMED = (
    "is {it} {yes} ? yes",
    "do i find {it} {yes} ? yes , i do",
    "would i call {it} {yes} ? of course",
    "nobody can deny that {it} is {yes}",
    "there is no doubt that {it} is {yes}",
)
_DENIED = (
    "is {it} {no} ? no",
    "do i find {it} {no} ? not at all",
    "would i call {it} {no} ? never",
    "i do n't think {it} is {no}",
    "i would not say that {it} is {no}",
    "nobody could call {it} {no}",
    "i ca n't say , {aside} , that {it} is {no}",
    "i do not believe , {aside} , that {it} was {no}",
)
FRAMES = _PAIRS + _AFFIRMED + _DENIED

Judgements = tuple[list[str], list[str]]
"""Negative and positive ones."""


def judgements(rows: list[Row]) -> Judgements:
    """What the rows say of something, where that fits behind "it is" and is beyond doubt."""
    found: Judgements = ([], [])
    for row in rows:
        said = complement(row.text)
        sure = row.target if row.label == POSITIVE else 1 - row.target
        if said and sure >= _LEAST_SURE and len(said.split()) <= _LONGEST:
            found[row.label].append(said)
    return found


def framed(judged: Judgements, count: int, chance: random.Random) -> list[Row]:
    """`count` rows, their labels in turn by chance; none where a label has no judgement."""
    if not all(judged):
        return []
    rows = []
    for _ in range(count):
        label = chance.choice((NEGATIVE, POSITIVE))
        text = chance.choice(FRAMES).format(
            it=chance.choice(_SUBJECTS),
            aside=chance.choice(_ASIDES),
            yes=chance.choice(judged[label]),
            no=chance.choice(judged[1 - label]),
        )
        rows.append(Row(text + chance.choice(("", " .")), label))
    return rows
