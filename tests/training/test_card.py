"""Holds the card of the bundled model to its weights, its recipe and its figures."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT, data_folder
from training import card
from training.evaluate import measure, read_sets
from training.export import load_exported
from training.recipe import Recipe
from training.start import load_tokenizer

MODEL = ROOT / "models" / "sst2-minilm"


@pytest.fixture(scope="module")
def filled() -> dict[str, str]:
    """What stands in each place of `card.md`."""
    text = (MODEL / "README.md").read_text(encoding="utf-8")
    template = Path(card.__file__).with_name("card.md").read_text(encoding="utf-8")
    first, *rest = re.split(r"\{(\w+)\}", template)
    assert text.startswith(first)
    places, at = {}, len(first)
    for name, after in zip(rest[::2], rest[1::2], strict=True):
        end = text.index(after, at)  # fails where the card is not of this `card.md`
        places[name] = text[at:end]
        at = end + len(after)
    assert at == len(text)
    return places


def test_the_card_is_of_these_weights(filled: dict[str, str]) -> None:
    weights = hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()
    assert filled["sha256"] == weights
    assert filled["pieced"] == card.pieced(weights)


def test_the_card_has_the_recipe_and_the_tries(filled: dict[str, str]) -> None:
    assert filled["recipe"].splitlines() == card.settings(Recipe())
    assert filled["tries"] == card.tries()


def test_what_is_told_of_the_shipped_weights_alone_is_told_of_no_others() -> None:
    assert card.pieced("of other weights") == ""


def test_the_card_s_accuracy_is_that_of_the_weights() -> None:
    dev = read_sets(data_folder())[:1]
    (figure,) = measure(load_exported(MODEL), load_tokenizer(MODEL), dev)
    text = (MODEL / "README.md").read_text(encoding="utf-8")
    assert f"| {figure.name} | {figure.rows} | {figure.accuracy:.4f} |" in text
