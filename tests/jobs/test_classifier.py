"""Loading a classifier: labels, kind of problem, maximum length, float32, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers
from tokenizers import Tokenizer

from serve_app.engine.tokenizer import Tokenizer as ServedTokenizer
from serve_app.jobs.classifier import load, write
from serve_app.jobs.errors import PrepareError
from serve_app.jobs.export import export
from tests.jobs import tiny


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_maximum_length_is_what_the_positions_allow(family: str, tmp_path: Path) -> None:
    loaded = load(tiny.make(tmp_path / family, family), family)

    assert loaded.max_length == tiny.POSITIONS
    ids = loaded.tokenizer(["a " * 500], truncation=True, return_tensors="pt")
    assert ids["input_ids"].shape == (1, tiny.POSITIONS)
    with torch.inference_mode():
        loaded.model(**ids)


def test_truncation_baked_into_a_tokenizer_is_taken_out(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "baked")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(folder / "tokenizer.json"))

    write(load(folder, "baked"), tmp_path / "written")

    written = Tokenizer.from_file(str(tmp_path / "written" / "tokenizer.json"))
    assert written.truncation is None
    assert written.padding is None


def test_a_shorter_maximum_of_the_tokenizer_counts(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "short")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": 16}))

    assert load(folder, "short").max_length == 16


@pytest.mark.parametrize(
    ("labels", "changes", "problem"),
    [
        (("NO", "YES"), {}, "single_label_classification"),
        (("bad", "so", "good"), {}, "single_label_classification"),
        (tuple(f"l{n}" for n in range(28)), {}, "single_label_classification"),
        (
            tuple(f"l{n}" for n in range(28)),
            {"problem_type": "multi_label_classification"},
            "multi_label_classification",
        ),
        (("toxic",), {}, "multi_label_classification"),  # as transformers' pipeline has it
    ],
)
def test_labels_and_problem_are_the_models_own(
    labels: tuple[str, ...], changes: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    loaded = load(tiny.make(tmp_path / "model", labels=labels, **changes), "model")

    assert loaded.labels == list(labels)
    assert loaded.problem_type == problem
    write(loaded, tmp_path / "written")
    config = json.loads((tmp_path / "written" / "config.json").read_text())
    assert config["problem_type"] == problem


def test_half_precision_is_written_in_float32(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "half")
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    halves = {name: value.half() for name, value in weights.items()}
    safetensors.torch.save_file(halves, folder / "model.safetensors", {"format": "pt"})

    write(load(folder, "half"), tmp_path / "written")

    written = safetensors.torch.load_file(tmp_path / "written" / "model.safetensors")
    assert {value.dtype for value in written.values()} == {torch.float32}
    assert all(torch.equal(value, halves[name].float()) for name, value in written.items())
    config = json.loads((tmp_path / "written" / "config.json").read_text())
    assert config["dtype"] == "float32"


def test_a_pickle_is_read_where_there_is_nothing_else(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "pickled")
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")

    write(load(folder, "pickled"), tmp_path / "written")

    written = safetensors.torch.load_file(tmp_path / "written" / "model.safetensors")
    assert all(torch.equal(value, weights[name]) for name, value in written.items())


class Malice:
    """Would make a folder when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.mkdir, (self.path,)  # type: ignore[return-value]


def test_a_pickle_runs_no_code(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "malice")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Malice(tmp_path / "harm")}, folder / "pytorch_model.bin")

    with pytest.raises(PrepareError, match="cannot be loaded"):
        load(folder, "malice")

    assert not (tmp_path / "harm").exists()


def test_a_model_without_a_trained_head_is_refused(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "headless")
    model = transformers.AutoModel.from_pretrained(folder)
    model.save_pretrained(folder)

    with pytest.raises(PrepareError, match=r"no trained sequence classifier: .*classifier\.bias"):
        load(folder, "headless")


def test_a_regression_is_refused(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "stars", labels=("stars",), problem_type="regression")

    with pytest.raises(PrepareError, match="predicts a number"):
        load(folder, "stars")


def test_two_classes_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "twins", labels=("a", "b"))
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"id2label": {"0": "same", "1": "same"}}
    path.write_text(json.dumps(config))

    with pytest.raises(PrepareError, match="names two classes alike"):
        load(folder, "twins")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "cut")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(PrepareError, match="cut cannot be loaded"):
        load(folder, "cut")


def test_a_tokenizer_that_pads_nothing_is_refused(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "unpadded")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        path = folder / name
        settings = json.loads(path.read_text()) | {"pad_token": None}
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        path.write_text(json.dumps(settings))

    with pytest.raises(PrepareError, match="padding token"):
        load(folder, "unpadded")


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_long_text_loses_the_side_that_the_model_says(tmp_path: Path, side: str) -> None:
    folder = tiny.make(tmp_path / "model")
    tiny.changed(folder, "tokenizer_config.json", truncation_side=side)
    loaded = load(folder, side)
    write(loaded, tmp_path / "written")
    text = "the film was bad " * 50 + "good and great"
    (served,) = ServedTokenizer(tmp_path / "written", loaded.max_length, 0).encode([text])
    assert served.truncated
    assert served.ids == loaded.tokenizer(text, truncation=True)["input_ids"]


def test_classes_that_are_not_numbered_from_0_are_refused(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "model")
    tiny.changed(folder, "config.json", id2label={"1": "bad", "2": "good"}, label2id={})
    with pytest.raises(PrepareError, match="numbers its classes 1, 2, not from 0 on"):
        load(folder, "model")


def test_a_tokenizer_runs_no_code_whoever_says_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.make(tmp_path / "model")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    auto = {"AutoTokenizer": [None, "evil.EvilTokenizer"]}
    tiny.changed(folder, "tokenizer_config.json", tokenizer_class="EvilTokenizer", auto_map=auto)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(PrepareError):
        load(folder, "model")
    assert not (tmp_path / "ran").exists()


def test_a_template_s_name_writes_no_file_elsewhere(tmp_path: Path) -> None:
    """CVE-2026-9856; a classifier needs none."""
    folder = tiny.make(tmp_path / "chats")
    path = folder / "tokenizer_config.json"
    named = [{"name": name, "template": "{{ x }}"} for name in ("default", str(tmp_path / "harm"))]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": named}))
    output = tmp_path / "a" / "b"
    output.mkdir(parents=True)

    loaded = load(folder, "chats")
    write(loaded, output)
    export(loaded.model)

    assert not list(tmp_path.rglob("*.jinja"))
