import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training import tiny
from training.batches import Encoded, encode
from training.errors import TrainingError
from training.loop import (
    Fitted,
    InterruptedRunError,
    Run,
    fit,
    parameter_groups,
    rate_factor,
)
from training.recipe import Recipe
from training.start import load_model, load_tokenizer


def run_of(
    start: Path,
    folder: Path,
    fingerprint: str = "one",
    stopping: Callable[[], bool] = lambda: False,
) -> Run:
    tokenizer = load_tokenizer(start)
    train = encode(tokenizer, tiny.rows(60, seed=1), 48)

    def epoch_rows(_epoch: int) -> list[Encoded]:
        return train

    return Run(
        name="fit",
        seed=0,
        epoch_rows=epoch_rows,
        validation=encode(tokenizer, tiny.rows(20, seed=2), 48),
        checkpoint=folder / "fit.pt",
        fingerprint=fingerprint,
        stopping=stopping,
    )


def fitted(start: Path, recipe: Recipe, run: Run) -> Fitted:
    return fit(load_model(start, recipe.seed), recipe, run)


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    start: Path, tmp_path: Path
) -> None:
    whole = fitted(start, tiny.RECIPE, run_of(start, tmp_path / "whole"))
    halves = tmp_path / "halves"
    for steps in (5, 4):
        with pytest.raises(InterruptedRunError, match="Stopped at step"):
            fitted(start, tiny.RECIPE, run_of(start, halves, stopping=tiny.Steps(steps)))
    rest = tiny.Steps()
    resumed = fitted(start, tiny.RECIPE, run_of(start, halves, stopping=rest))
    assert rest.taken == whole.curve[-1].step - 9
    assert resumed.curve == whole.curve
    for name, tensor in whole.weights.items():
        assert torch.equal(tensor, resumed.weights[name]), name


def test_a_killed_run_goes_on_from_its_last_checkpoint(start: Path, tmp_path: Path) -> None:
    class PowerCutError(Exception):
        pass

    steps, rest = tiny.Steps(6), tiny.Steps()

    def cut() -> bool:
        if steps():
            raise PowerCutError
        return False

    with pytest.raises(PowerCutError):
        fitted(start, tiny.RECIPE, run_of(start, tmp_path / "cut", stopping=cut))
    resumed = fitted(start, tiny.RECIPE, run_of(start, tmp_path / "cut", stopping=rest))
    whole = fitted(start, tiny.RECIPE, run_of(start, tmp_path / "whole"))
    assert resumed.curve == whole.curve
    assert rest.taken == whole.curve[-1].step - tiny.RECIPE.checkpoint_steps


def test_training_learns_the_rows(start: Path, tmp_path: Path) -> None:
    recipe = replace(tiny.RECIPE, epochs=20.0, learning_rate=1e-2)
    result = fitted(start, recipe, run_of(start, tmp_path))
    assert max(row.accuracy for row in result.curve) > 0.9


def test_an_epoch_is_validated_in_equal_parts_the_last_at_its_end(
    start: Path, tmp_path: Path
) -> None:
    recipe = replace(tiny.RECIPE, epochs=2.0, batch_size=6, validations_per_epoch=3)
    result = fitted(start, recipe, run_of(start, tmp_path))  # twenty steps an epoch
    assert [row.step for row in result.curve] == [7, 14, 20, 27, 34, 40]


def test_another_recipe_does_not_continue_a_checkpoint(start: Path, tmp_path: Path) -> None:
    fitted(start, tiny.RECIPE, run_of(start, tmp_path))
    with pytest.raises(TrainingError, match="belongs to another recipe"):
        fitted(start, tiny.RECIPE, run_of(start, tmp_path, fingerprint="two"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"half a checkpoint",
        b"<html><body>502 Bad Gateway</body></html>",
        b"\xff" * 1000,
        random.Random(0).randbytes(1000),
        pickle.dumps({"step": 1}, protocol=2),
        pickle.dumps(Path("a class of its own"), protocol=2),
    ],
    ids=["empty", "garbage", "html", "0xff", "random", "pickle", "pickled-class"],
)
def test_a_damaged_checkpoint_is_named(start: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fit.pt").write_bytes(content)
    with pytest.raises(TrainingError, match="delete it to start anew"):
        fitted(start, tiny.RECIPE, run_of(start, tmp_path))


def test_lower_layers_learn_at_lower_rates(start: Path) -> None:
    model = load_model(start, 0)
    groups = parameter_groups(model, replace(Recipe(), learning_rate=1.0, layer_decay=0.5))
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    top, bottom = model.bert.encoder.layer[1], model.bert.encoder.layer[0]
    assert rates[id(model.classifier.weight)] == 1.0
    assert rates[id(top.output.dense.weight)] == 0.5
    assert rates[id(bottom.output.dense.weight)] == 0.25
    assert rates[id(model.bert.embeddings.word_embeddings.weight)] == 0.125


def test_the_rate_rises_and_falls_in_lines() -> None:
    factors = [rate_factor(step, 100, 0.1) for step in range(100)]
    assert max(factors) == factors[9] == 1.0
    assert factors[0] == pytest.approx(0.1)
    assert factors[99] == pytest.approx(1 / 90)
