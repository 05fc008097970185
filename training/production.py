"""The whole way from the data to the model folder."""

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save
from transformers import BertTokenizerFast

from training.card import Story, render
from training.checkpoint import Weights
from training.data import Row, split_validation, training_rows
from training.errors import TrainingError
from training.evaluate import Figure, TestSet, measure, mistakes, read_sets, rewritten
from training.export import export
from training.loop import Fitted
from training.opinions import SHIPPED, Opinions, judged, taught
from training.probes import PROBES
from training.recipe import Recipe
from training.stage import fit_stage
from training.start import load_model, load_tokenizer
from training.transfer import transfer_texts

_STRANGERS = 2


class Order(NamedTuple):
    """What to make, from what, and where."""

    data: Path
    output: Path
    start: Path
    work: Path
    recipe: Recipe
    # A teacher's opinions; without them the labels teach alone.
    opinions: Path | None = SHIPPED
    stopping: Callable[[], bool] = lambda: False


def produce(order: Order) -> list[Figure]:
    """Fit, export, measure what was exported, and write its card."""
    recipe = order.recipe
    # Everything that could be missing is read before the long part.
    sets = read_sets(order.data)
    labelled = training_rows(order.data, sets[0].rows)
    opinions = Opinions.read(order.opinions) if order.opinions else Opinions()
    rows = taught(labelled, opinions, recipe.teacher_share)
    split = split_validation(rows, recipe.validation_sentences, recipe.seed)
    _refuse_opinions_of(split.validation, opinions)
    tokenizer = load_tokenizer(order.start)
    transfer = judged(transfer_texts(split, order.start, recipe), opinions)
    _say(
        f"{len(split.train)} rows to train on, {len(split.validation)} to validate on, "
        f"{len(transfer)} texts that only the teacher has judged."
    )

    seeds = range(recipe.seed, recipe.seed + recipe.seeds)

    def last(name: str, seed: int, start: Weights, rows: list[Row], held: list[Row]) -> Fitted:
        # Of other numbers than the seeds: its rows are drawn anew.
        seed += recipe.seeds
        return _fit(order, tokenizer, recipe.last, name, seed, rows, held, transfer, start)

    train, held = split
    fitted = [_fit(order, tokenizer, recipe, "fit", s, train, held, transfer) for s in seeds]
    ended = [
        last("last", s, fit.weights, train, held) for s, fit in zip(seeds, fitted, strict=True)
    ]
    members = [fit.weights for fit in ended]
    model = load_model(order.start, recipe.seed)
    model.load_state_dict(mean(members))
    validation = TestSet("validation", held)
    validated = measure(model, tokenizer, [validation, *_renamed(rewritten(held))])
    if recipe.refit:
        # What was held back for choosing is worth more as training data once all is chosen.
        members = [
            last("refit", s, fit.weights, rows, []).weights
            for s, fit in zip(seeds, fitted, strict=True)
        ]

    # What is measured is what is written: the weights as half precision leaves them.
    halves = {name: tensor.half() for name, tensor in mean(members).items()}
    model.load_state_dict(halves)
    figures = measure(model, tokenizer, sets)
    curves = {"first": fitted[0].curve, "last": ended[0].curve}
    story = Story(recipe, len(rows), len(train), curves, validated)
    weights = save(halves, metadata={"format": "pt"})
    digest = hashlib.sha256(weights).hexdigest()
    card = render(story, digest, figures, mistakes(model, tokenizer, list(PROBES)))
    export(model, weights, tokenizer, order.output, card)
    shutil.rmtree(order.work, ignore_errors=True)
    return validated + figures


def _refuse_opinions_of(validation: list[Row], opinions: Opinions) -> None:
    """Who was taught by a teacher that learnt the validation rows cannot be validated on them."""
    known = sum(opinions.get(row.text) is not None for row in validation)
    # Strangers share a digest by chance: of 1,500 rows and 80,000 opinions 0.03 are expected to.
    if known > _STRANGERS:
        raise TrainingError(
            f"The teacher has judged {known} of the {len(validation)} validation sentences: it"
            " learnt from another split. Keep `seed` and `validation_sentences`, or make it anew"
            " with the same settings (python -m training.teacher)."
        )


def mean(members: list[Weights]) -> Weights:
    """The average of models fine-tuned from one start, which lie in one basin."""
    return {
        name: torch.stack([member[name] for member in members]).mean(dim=0) for name in members[0]
    }


def _fit(
    order: Order,
    tokenizer: BertTokenizerFast,
    recipe: Recipe,
    name: str,
    seed: int,
    rows: list[Row],
    validation: list[Row],
    transfer: list[Row],
    start: Weights | None = None,
) -> Fitted:
    """One stage; every seed starts from one head, or their weights could not be averaged."""
    model = load_model(order.start, recipe.seed, recipe.attention_dropout)
    if start is not None:
        model.load_state_dict(start)
    return fit_stage(
        model,
        tokenizer,
        recipe,
        name=name,
        seed=seed,
        rows=rows,
        validation=validation,
        transfer=transfer,
        work=order.work,
        stopping=order.stopping,
    )


def _renamed(sets: list[TestSet]) -> list[TestSet]:
    return [TestSet(name.replace("dev,", "validation,"), rows) for name, rows in sets]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
