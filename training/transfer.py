"""Texts without labels, made from the training rows for a teacher to judge.

A teacher can be asked about any text, so these need not mean what the row meant: they show the
student words and turns that its labelled rows lack. Three kinds, in equal numbers: a part of a
sentence, two rows joined, and a row in which some words gave way to their neighbours in the
starting model's own embeddings or, for other topics than film, to any word.
"""

import random
import re
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BertModel

from training.data import Split, spans, whole_sentences, words
from training.recipe import Recipe
from training.start import load_tokenizer, loading

_NEIGHBOURS = 20
_REPLACED_SHARE = 0.3
_ANY_WORD_SHARE = 0.2
_SHORTEST_WORD = 3
_SHORTEST_PART = 4
_LONGEST_JOINED = 16
# As many for each text asked for.
_TRIES = 20
_JOINTS = (
    " , and ", " , but ", " but ", " although ", " . ", " ; ", " , yet ", " because ", " not ",
    " without ", " , not ", " instead of ",
)  # fmt: skip
_WORD = re.compile(r"[a-z]+")

Neighbours = dict[str, list[str]]


def transfer_texts(split: Split, start: Path, recipe: Recipe) -> list[str]:
    """The texts that the recipe makes of the rows to train on, the same for teacher and student.

    None of them is a row's, none comes twice, none stands in a validation sentence; so they are
    a few less than the recipe asks, and of few rows much less.
    """
    rows = split.train
    count = recipe.transfer_texts
    chance = random.Random(f"{recipe.seed}/transfer")
    sentences = whole_sentences(rows)
    joinable = [row for row in rows if _SHORTEST_PART <= len(row.text.split()) <= _LONGEST_JOINED]
    long = [row for row in rows if len(row.text.split()) >= _SHORTEST_PART]
    neighbours = word_neighbours(start)
    vocabulary = list(neighbours)
    kinds: tuple[Callable[[], str], ...] = (
        lambda: _part(chance.choice(sentences).text, chance),
        lambda: _joined(chance.choice(joinable).text, chance.choice(joinable).text, chance),
        lambda: _replaced(chance.choice(long).text, neighbours, vocabulary, chance),
    )
    known = {row.text for row in rows}
    made: dict[str, None] = {}
    for _ in range(_TRIES * count):
        if len(made) == count:
            break
        text = kinds[len(made) % len(kinds)]()
        if text not in known:
            made[text] = None
    # Left out at the end: the others are then those that the shipped teacher was asked about.
    held = spans(split.validation)
    return [text for text in made if words(text) not in held]


def word_neighbours(start: Path) -> Neighbours:
    """For each whole word of a model's vocabulary the words nearest to it by cosine."""
    tokenizer = load_tokenizer(start)
    with loading(start):
        model = BertModel.from_pretrained(start, local_files_only=True)
    # The vocabulary comes in another order each time it is loaded.
    places = {
        word: at
        for word, at in sorted(tokenizer.get_vocab().items())
        if len(word) >= _SHORTEST_WORD and _WORD.fullmatch(word)
    }
    names = list(places)
    vectors = model.get_input_embeddings().weight.detach()[list(places.values())]
    vectors = torch.nn.functional.normalize(vectors, dim=-1)
    found: Neighbours = {}
    for at in range(0, len(names), 1024):
        part = vectors[at : at + 1024] @ vectors.T
        nearest = part.topk(min(_NEIGHBOURS + 1, len(names)), dim=-1).indices.tolist()
        for name, its in zip(names[at : at + 1024], nearest, strict=True):
            found[name] = [names[place] for place in its if names[place] != name]
    return found


def _part(text: str, chance: random.Random) -> str:
    tokens = text.split()
    length = chance.randint(min(_SHORTEST_PART, len(tokens)), len(tokens))
    start = chance.randint(0, len(tokens) - length)
    return " ".join(tokens[start : start + length])


def _joined(first: str, second: str, chance: random.Random) -> str:
    return first.rstrip(" .") + chance.choice(_JOINTS) + second


def _replaced(
    text: str, neighbours: Neighbours, vocabulary: list[str], chance: random.Random
) -> str:
    tokens = text.split()
    places = [at for at, token in enumerate(tokens) if token in neighbours]
    for at in chance.sample(places, min(len(places), 1 + round(len(places) * _REPLACED_SHARE))):
        anything = chance.random() < _ANY_WORD_SHARE
        tokens[at] = chance.choice(vocabulary if anything else neighbours[tokens[at]])
    return " ".join(tokens)
