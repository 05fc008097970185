"""A random model of two narrow layers and a data folder of a few hundred made-up rows."""

import random
from dataclasses import replace
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification

from training.data import Row
from training.recipe import Recipe

NOUNS = tuple(f"{first}{second}" for first in "bcdfghjklm" for second in ("all", "ond", "ire"))
GOOD = ("fine", "grand", "merry", "warm")
BAD = ("drab", "grim", "sour", "cold")

RECIPE = replace(
    Recipe(),
    validation_sentences=20,
    epochs=2.0,
    batch_size=16,
    max_length=48,
    learning_rate=3e-3,
    seeds=1,
    validations_per_epoch=2,
    checkpoint_steps=4,
    precision="float32",
    transfer_texts=30,
)


def rows(count: int, seed: int) -> list[Row]:
    """Whole sentences, each followed by a phrase of it."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        label = chance.randrange(2)
        word = chance.choice(GOOD if label else BAD)
        one, two, three = chance.sample(NOUNS, 3)
        made.append(Row(f"the {one} of the {two} is {word} , says {three} .", label))
        made.append(Row(f"the {two} is {word}", label))
    return made


def write_rows(path: Path, content: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["sentence\tlabel", *(f"{row.text}\t{row.label}" for row in content)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_data(folder: Path) -> Path:
    write_rows(folder / "sst2" / "train.tsv", rows(150, seed=1))
    write_rows(folder / "sst2" / "dev.tsv", rows(20, seed=2))
    write_rows(folder / "cr" / "test.tsv", rows(10, seed=3))
    checklist = folder / "checklist" / "mft.tsv"
    checklist.parent.mkdir()
    lines = ["capability\ttest\tsentence\tlabel"]
    lines += [f"Negation\tplain\t{row.text}\t{row.label}" for row in rows(5, seed=4)]
    lines += [f"Vocabulary\tplain\t{row.text}\t{row.label}" for row in rows(5, seed=5)]
    checklist.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_start(folder: Path) -> Path:
    """Starting weights as the package has them: a model with a vocabulary beside it."""
    folder.mkdir(parents=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "'", "?"]
    vocabulary += [*letters, *(f"##{letter}" for letter in letters)]
    vocabulary += ["the", "of", "is", "says", "not", *GOOD, *BAD, *NOUNS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


class Steps:
    """A run's `stopping`, asked before each step: counts them, and stops it after `most`."""

    def __init__(self, most: int = 10**9) -> None:
        self.most, self.taken = most, 0

    def __call__(self) -> bool:
        if self.taken == self.most:
            return True
        self.taken += 1
        return False
