"""Encoded rows in batches of neighbours in length, so that little padding is computed."""

import random
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from training.data import Row

# Sorting within a window of this many batches keeps chance in the order of the rows.
_WINDOW = 50


class Batch(NamedTuple):
    input_ids: Tensor
    attention_mask: Tensor
    # The probability of each label, a line a row.
    targets: Tensor


class Encoded(NamedTuple):
    tokens: list[int]
    label: int
    target: float


def encode(tokenizer: PreTrainedTokenizerBase, rows: list[Row], max_length: int) -> list[Encoded]:
    if not rows:
        return []
    texts = [row.text for row in rows]
    ids = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
    return [Encoded(tokens, row.label, row.target) for tokens, row in zip(ids, rows, strict=True)]


def shuffled(rows: list[Encoded], size: int, seed: str) -> list[list[Encoded]]:
    """Batches of similar length in random order; the same seed gives the same batches."""
    chance = random.Random(seed)
    rows = chance.sample(rows, len(rows))
    batches = []
    for start in range(0, len(rows), size * _WINDOW):
        window = sorted(rows[start : start + size * _WINDOW], key=lambda row: len(row.tokens))
        batches += [window[at : at + size] for at in range(0, len(window), size)]
    chance.shuffle(batches)
    return batches


def by_length(rows: list[Encoded], size: int) -> Iterator[tuple[list[int], list[Encoded]]]:
    """Batches in order of length, each with the places of its rows."""
    order = sorted(range(len(rows)), key=lambda at: len(rows[at].tokens))
    for start in range(0, len(order), size):
        places = order[start : start + size]
        yield places, [rows[at] for at in places]


def pad(rows: list[Encoded], padding: int) -> Batch:
    longest = max(len(row.tokens) for row in rows)
    ids = torch.full((len(rows), longest), padding, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for at, row in enumerate(rows):
        ids[at, : len(row.tokens)] = torch.tensor(row.tokens)
        mask[at, : len(row.tokens)] = 1
    targets = torch.tensor([[1 - row.target, row.target] for row in rows])
    return Batch(ids, mask, targets)
