from argparse import ArgumentParser
from pathlib import Path

import pytest

from training.arguments import add_run, work_folder
from training.errors import TrainingError
from training.recipe import Recipe, override


def test_settings_are_read_as_the_recipe_has_them() -> None:
    recipe = override(
        Recipe(), ["seed=3", "learning_rate=2e-5", "refit=False", "precision=float32"]
    )
    assert (recipe.seed, recipe.learning_rate, recipe.refit) == (3, 2e-5, False)
    assert recipe.precision == "float32"


@pytest.mark.parametrize("setting", ["speed=1", "seed=fast", "seed", "refit=perhaps"])
def test_unknown_settings_are_told(setting: str) -> None:
    with pytest.raises(TrainingError, match=setting.split("=")[0]):
        override(Recipe(), [setting])


@pytest.mark.parametrize(
    "setting",
    [
        "seeds=0", "batch_size=0", "max_length=2", "checkpoint_steps=0", "validations_per_epoch=0",
        "validation_sentences=-5", "epochs=nan", "epochs=inf", "last_epochs=-1", "typo_share=1.5",
        "seed=4294967296",
    ],
)  # fmt: skip
def test_settings_out_of_bounds_are_told(setting: str) -> None:
    with pytest.raises(TrainingError, match=rf"'{setting.split('=')[0]}' is (from|. or more)"):
        override(Recipe(), [setting])


def test_a_fingerprint_names_recipe_and_data() -> None:
    recipe = Recipe()
    assert recipe.fingerprint("rows") == Recipe().fingerprint("rows")
    assert recipe.fingerprint("rows") != recipe.fingerprint("others")
    assert recipe.fingerprint("rows") != override(recipe, ["seed=1"]).fingerprint("rows")


@pytest.mark.parametrize(
    ("given", "folder"), [([], "models/.new.training"), (["--work", "."], ".new.training")]
)
def test_a_run_has_a_work_folder_of_its_own_to_delete(given: list[str], folder: str) -> None:
    parser = ArgumentParser()
    parser.add_argument("--output", type=Path)
    add_run(parser)
    assert work_folder(parser.parse_args(["--output", "models/new", *given])) == Path(folder)
