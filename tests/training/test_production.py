import json
import signal
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import pipeline

from tests.training import tiny
from training import production
from training.__main__ import main
from training.checkpoint import Weights
from training.data import Row, read_rows
from training.errors import TrainingError
from training.export import MODEL_FILES
from training.loop import Fitted, InterruptedRunError
from training.opinions import Opinions
from training.production import Order, mean, produce
from training.stage import fit_stage

QUICK = replace(tiny.RECIPE, epochs=1.0)


@pytest.fixture
def order(data: Path, start: Path, tmp_path: Path) -> Order:
    return Order(data, tmp_path / "models" / "tiny", start, tmp_path / "work", QUICK)


def test_the_folder_is_one_that_the_pipeline_loads(order: Order) -> None:
    produce(order)
    assert {path.name for path in order.output.iterdir()} == {*MODEL_FILES, "README.md"}
    classify = pipeline("text-classification", model=str(order.output), device="cpu")
    answer = classify(["the ball is fine", "the bond is grim"])
    assert {row["label"] for row in answer} <= {"POSITIVE", "NEGATIVE"}
    assert classify.model.dtype == torch.float32


def test_weights_are_half_precision_and_the_tokenizer_cuts_and_pads_nothing(order: Order) -> None:
    produce(order)
    weights = load_file(order.output / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    tokenizer = json.loads((order.output / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer["truncation"] is None
    assert tokenizer["padding"] is None
    config = json.loads((order.output / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "NEGATIVE", "1": "POSITIVE"}


def test_nothing_but_the_model_is_left(order: Order) -> None:
    produce(order)
    assert not order.work.exists()
    assert [path.name for path in order.output.parent.iterdir()] == ["tiny"]


def test_the_card_has_every_place_filled(order: Order) -> None:
    produce(order)
    card = (order.output / "README.md").read_text(encoding="utf-8")
    assert "| SST-2 dev | 40 |" in card
    assert "| validation | 20 |" in card
    assert "{" not in card


@pytest.mark.parametrize("refit", [True, False])
def test_seeds_are_averaged(order: Order, refit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    averaged: list[list[Weights]] = []

    def recorded(members: list[Weights]) -> Weights:
        averaged.append(members)
        return mean(members)

    monkeypatch.setattr(production, "mean", recorded)
    produce(order._replace(recipe=replace(order.recipe, seeds=2, refit=refit)))
    first, second = averaged[-1]
    assert any(not torch.equal(first[name], second[name]) for name in first)
    expected = mean([first, second])
    for name, tensor in load_file(order.output / "model.safetensors").items():
        assert torch.equal(tensor, expected[name].half())


def test_the_last_stage_goes_on_from_the_first(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: dict[str, Weights] = {}
    ended: dict[str, Weights] = {}

    def recorded(model: torch.nn.Module, *rest: Any, name: str, **more: Any) -> Fitted:
        began[name] = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        fitted = fit_stage(model, *rest, name=name, **more)
        ended[name] = fitted.weights
        return fitted

    monkeypatch.setattr(production, "fit_stage", recorded)
    produce(order._replace(recipe=replace(order.recipe, refit=True)))
    assert list(ended) == ["fit", "last", "refit"]
    for stage in ("last", "refit"):
        for key, tensor in ended["fit"].items():
            assert torch.equal(began[stage][key], tensor), (stage, key)


def test_a_teacher_that_learnt_the_validation_rows_is_refused(order: Order) -> None:
    opinions = Opinions()
    for row in read_rows(order.data / "sst2" / "train.tsv"):
        opinions.add(row.text, 0.5)
    opinions.write(order.work.with_name("opinions.npz"))
    with pytest.raises(TrainingError, match="learnt from another split"):
        produce(order._replace(opinions=order.work.with_name("opinions.npz")))
    assert not order.work.exists()


@pytest.mark.parametrize(("known", "refused"), [(2, False), (3, True)])
def test_a_stranger_s_digest_is_no_other_split(known: int, refused: bool) -> None:
    validation = [Row(f"sentence {number}", 1) for number in range(1500)]
    opinions = Opinions()
    for row in validation[:known]:
        opinions.add(row.text, 0.5)
    with pytest.raises(TrainingError) if refused else nullcontext():
        production._refuse_opinions_of(validation, opinions)


def test_mean_is_that_of_each_tensor() -> None:
    members = [{"weight": torch.tensor([1.0, 2.0])}, {"weight": torch.tensor([3.0, 2.0])}]
    assert mean(members)["weight"].tolist() == [2.0, 2.0]


def test_an_interrupted_order_is_finished_by_the_same_order(order: Order) -> None:
    first, rest, again = tiny.Steps(order.recipe.checkpoint_steps + 1), tiny.Steps(), tiny.Steps()
    with pytest.raises(InterruptedRunError):
        produce(order._replace(stopping=first))
    assert not order.output.exists()
    interrupted = produce(order._replace(stopping=rest))
    whole = produce(order._replace(output=order.output.with_name("again"), stopping=again))
    assert interrupted == whole
    assert rest.taken == again.taken - first.taken


def test_a_missing_set_is_told_before_training(order: Order) -> None:
    (order.data / "cr" / "test.tsv").unlink()
    with pytest.raises(TrainingError, match=r"test\.tsv is missing"):
        produce(order)
    assert not order.work.exists()


def command(data: Path | str, output: Path, start: Path) -> list[str]:
    places = ["--data", str(data), "--output", str(output), "--start", str(start)]
    recipe = ("validation_sentences=20", "epochs=0.5", "batch_size=16", "precision=float32",
              "transfer_texts=30")  # fmt: skip
    return places + [word for setting in recipe for word in ("--set", setting)]


@pytest.fixture
def _signals_put_back() -> object:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals_put_back")
def test_the_command_prints_the_table(
    data: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(data, tmp_path / "model", start)) == 0
    assert "| customer reviews |" in capsys.readouterr().out


@pytest.mark.usefixtures("_signals_put_back")
@pytest.mark.parametrize("missing", ["data", "start"])
def test_the_command_says_in_a_sentence_what_is_missing(
    data: Path,
    start: Path,
    tmp_path: Path,
    missing: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nowhere = tmp_path / "nowhere"
    places = (nowhere, start) if missing == "data" else (data, nowhere)
    assert main(command(places[0], tmp_path / "model", places[1])) == 1
    said = capsys.readouterr().err
    assert said.startswith("training: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "model").exists()
