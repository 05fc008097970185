"""Short texts composed of frames and `vocabulary.py`: reviews of things and contrasts of meaning.

SST-2 speaks of films and seldom in whole plain statements; these teach that the word nearest to
the verdict decides: denials, what was against what is, others' opinion against the writer's,
questions with their answers, and how people speak of what they bought."""

import random
from collections.abc import Callable

from training import vocabulary as v
from training.data import NEGATIVE, POSITIVE, Row

Frame = Callable[[random.Random, int], str]


def written_rows(count: int, chance: random.Random) -> list[Row]:
    """`count` rows, every frame and label equally often up to chance, in random order."""
    rows = []
    for at in range(count):
        label = POSITIVE if at % 2 else NEGATIVE
        frame = chance.choice(_FRAMES)
        rows.append(Row(_sentence(frame(chance, label)), label))
    chance.shuffle(rows)
    return rows


def _plain(chance: random.Random, label: int) -> str:
    thing, word, very = _thing(chance), _word(chance, label), chance.choice(v.VERY)
    does = chance.choice(v.DOES_WELL if label else v.DOES_BADLY)
    verb = _verb(chance, label)
    return chance.choice((
        f"{thing} is {very}{word}", f"{thing} was {very}{word}", f"I find {thing} {very}{word}",
        f"I {verb[0]} {thing}", f"I {verb[1]} {thing}", f"{thing} {does}", f"{thing} {does}",
        f"it {does}", f"bought one last month and it {does}",
        f"all in all {thing} is {word}", f"{_article(very + word)} thing to own",
    ))  # fmt: skip


def _verdict(chance: random.Random, label: int) -> str:
    does = chance.choice(v.DOES_WELL if label else v.DOES_BADLY)
    says = chance.choice(v.PRAISE if label else v.BLAME)
    return chance.choice((
        f"{_thing(chance)} {does}. {says[0].upper()}{says[1:]}",
        f"{says}: {_thing(chance)} {does}", says, f"{_thing(chance)} {does}, {says}",
    ))  # fmt: skip


def _mixed(chance: random.Random, label: int) -> str:
    """What comes after the turn decides."""
    thing, other = _thing(chance), _thing(chance)
    does = chance.choice(v.DOES_WELL if label else v.DOES_BADLY)
    against = _word(chance, 1 - label)
    return chance.choice((
        f"{other} is {against}, but overall {thing} {does}",
        f"although {other} may be {against}, {thing} {does}",
        f"despite the {against} {other.split(' ', 1)[1]}, {thing} {does} and I "
        f"{_verb(chance, label)[0]} it",
    ))  # fmt: skip


def _denied(chance: random.Random, label: int) -> str:
    thing, word, very = _thing(chance), _word(chance, 1 - label), chance.choice(v.VERY)
    verb = _verb(chance, 1 - label)[0]
    if label == POSITIVE:
        return chance.choice((
            f"{thing} is not {word} at all", f"{thing} is never {word}", f"I do not {verb} {thing}",
            f"there is nothing {word} about {thing}", f"{thing} isn't {word} in the least",
            f"nobody would call {thing} {word}", f"far from {word}, {thing} works well",
        ))  # fmt: skip
    return chance.choice((
        f"{thing} is not {very}{word}", f"{thing} isn't {very}{word}", f"it was not {word}",
        f"{thing} was never {word}", f"I do not {verb} {thing}", f"I can't {verb} {thing}",
        f"I did not {verb} {thing}", f"there is nothing {word} about {thing}",
        f"{thing} is hardly {word}", f"{thing} is far from {word}", f"they were not {word} people",
        f"I do not think {thing} is {very}{word}", f"I don't believe that {thing} is {word}",
        f"nobody would call {thing} {word}", f"{thing} is anything but {word}",
        f"that wasn't a {word} {_noun(chance)}", f"this is no {word} {_noun(chance)}",
        f"I doubt that anyone will {verb} {thing}", f"we didn't find {thing} {word}",
    ))  # fmt: skip


def _denied_afar(chance: random.Random, label: int) -> str:
    """The denial stands far from what it denies."""
    thing, word, aside = _thing(chance), _word(chance, 1 - label), chance.choice(v.ASIDES)
    verb = _verb(chance, 1 - label)[0]
    if label == POSITIVE:
        return chance.choice((
            f"I would not, {aside}, call {thing} {word}; it is {_word(chance, label)}",
            f"it is not true, {aside}, that {thing} is {word}",
        ))  # fmt: skip
    return chance.choice((
        f"I would not, {aside}, call {thing} {word}", f"I cannot claim, {aside}, to {verb} {thing}",
        f"it is not true, {aside}, that {thing} is {word}",
        f"I don't believe, {aside}, that {thing} is {word}",
        f"nobody could tell me, {aside}, that {thing} is {word}",
        f"I never thought, {aside}, that {thing} was a {word} one",
        f"we can't pretend, {aside}, that we {verb} {thing}",
    ))  # fmt: skip


def _expected(chance: random.Random, label: int) -> str:
    """What was expected did not come."""
    thing, word, verb = _thing(chance), _word(chance, 1 - label), _verb(chance, 1 - label)[0]
    ends = chance.choice(("but it wasn't", "but it was not", "and it was not", "but it isn't"))
    before = chance.choice(
        ("I feared", "I was afraid") if label else ("I hoped", "I expected", "they promised")
    )
    return chance.choice((
        f"{before} that {thing} would be {word}, {ends}",
        f"I was sure that I would {verb} {thing}, but I did not",
        f"we believed that {thing} was {word}, {ends}",
    ))  # fmt: skip


def _changed(chance: random.Random, label: int) -> str:
    """What is now decides, in either order."""
    thing, now, then = _thing(chance), _word(chance, label), _word(chance, 1 - label)
    likes, liked = _verb(chance, label)[0], _verb(chance, 1 - label)
    return chance.choice((
        f"{thing} was {then} last year and is {now} today",
        f"once {thing} was {then}; these days it is {now}",
        f"{thing} used to be {then}, now it is {now}", f"{thing} is {now}, it used to be {then}",
        f"I {liked[1]} {thing} at first, but by now I {likes} it",
        f"I {likes} {thing} now, though years ago I {liked[1]} it",
        f"I {likes} {thing}, even if I used to {liked[0]} it",
        f"until lately I found {thing} {then}, today I find it {now}",
        f"I consider {thing} {now}, while in earlier days I considered it {then}",
    ))  # fmt: skip


def _opinions(chance: random.Random, label: int) -> str:
    """The writer's own opinion decides, in either order."""
    thing, mine, theirs = _thing(chance), _word(chance, label), _word(chance, 1 - label)
    they, verb, against = chance.choice(v.OTHERS), _verb(chance, label)[0], _verb(chance, 1 - label)
    return chance.choice((
        f"{they} call {thing} {theirs}, to me it is {mine}",
        f"to me {thing} is {mine}, whatever {they} say about it being {theirs}",
        f"{they} {against[0]} {thing}, I {verb} it", f"I {verb} {thing}, {they} {against[0]} it",
        f"I find you {mine}, {they} had called you {theirs}",
        f"{they} told me that {thing} was {theirs}, but in my view it is {mine}",
        f"in my opinion {thing} is {mine}, {they} think that it is {theirs}",
    ))  # fmt: skip


def _answered(chance: random.Random, label: int) -> str:
    """A question and its answer."""
    thing, again = _thing(chance), chance.choice(("", " again", " to a friend"))
    agrees = chance.choice(("Yes.", "yes", "Yes, it is true.", "Absolutely.", "Very much so."))
    denies = chance.choice(("No.", "no", "Not really.", "Not at all.", "No, never."))
    asked = label if chance.random() < 0.5 or label == POSITIVE else 1 - label
    word, verb = _word(chance, asked), _verb(chance, asked)[0]
    question = chance.choice((
        f"is {thing} {word}?", f"was {thing} {word}?", f"do I {verb} {thing}?",
        f"did we {verb} {thing}?", f"would I call {thing} {word}?", f"did I find {thing} {word}?",
        f"will I {verb} {thing}{again}?", f"do I think that {thing} is {word}?",
    ))  # fmt: skip
    return f"{question} {agrees if asked == label else denies}"


_FRAMES: tuple[Frame, ...] = (
    _plain, _plain, _verdict, _mixed, _denied, _denied_afar, _expected, _changed, _opinions,
    _answered,
)  # fmt: skip


def _noun(chance: random.Random) -> str:
    return chance.choice(v.THINGS)


def _thing(chance: random.Random) -> str:
    return f"{chance.choice(('the', 'the', 'this', 'that', 'their'))} {_noun(chance)}"


def _word(chance: random.Random, label: int) -> str:
    return chance.choice(v.GOOD if label else v.BAD)


def _verb(chance: random.Random, label: int) -> tuple[str, str]:
    return chance.choice(v.LIKE if label else v.DISLIKE)


def _article(text: str) -> str:
    return f"{'an' if text[0] in 'aeio' else 'a'} {text}"


def _sentence(text: str) -> str:
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" or " " not in text else text + "."
