"""`sentiment prepare` as a whole: what it writes, when it does nothing, how it ends early."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from serve_app.engine.artifacts import ArtifactError, Artifacts
from serve_app.jobs import candidates, classifier, verify
from serve_app.jobs.prepare import main
from serve_app.jobs.stopping import SIGNALS
from serve_app.jobs.texts import golden_texts
from tests.jobs import tiny
from tests.jobs.conftest import ROOT

COMMAND = ("-m", "serve_app.jobs.prepare")


def prepare(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def nothing_left(parent: Path, *expected: str) -> None:
    assert {path.name for path in parent.iterdir()} == set(expected)


def test_the_folder_is_complete(prepared: Path, model: Path) -> None:
    artifacts = Artifacts(prepared)
    manifest = artifacts.manifest

    assert manifest.model_id == model.name
    assert manifest.revision is not None
    assert manifest.revision.startswith("sha256:")
    assert manifest.labels == ["NEGATIVE", "POSITIVE"]
    assert manifest.max_length == tiny.POSITIONS
    assert manifest.precision == "int8"
    assert set(manifest.measured) == {"fp32", "int8"}
    assert manifest.measured["fp32"].max_difference < 1e-4
    assert manifest.measured["int8"].flips == 0
    assert manifest.notes == []
    assert manifest.auto_threshold is not None
    assert 0 < manifest.auto_threshold < 1
    assert manifest.versions["onnxruntime"]
    files = {"golden.json", "onnx/fp32.onnx", "onnx/int8.onnx", "torch/model.safetensors"}
    assert files | {"torch/config.json", "torch/tokenizer.json"} <= set(manifest.files)
    present = {path.relative_to(prepared).as_posix() for path in prepared.rglob("*.*")}
    assert present == {*manifest.files, "manifest.json"}


def test_the_golden_answers_are_those_of_transformers_pipeline(prepared: Path) -> None:
    artifacts = Artifacts(prepared)
    pipeline = transformers.pipeline("text-classification", model=str(artifacts.torch))

    answers = pipeline(artifacts.golden.texts, top_k=None, truncation=True)

    assert artifacts.golden.texts == golden_texts()
    for probabilities, answer in zip(artifacts.golden.probabilities, answers, strict=True):
        scores = {item["label"]: item["score"] for item in answer}
        expected = [scores[label] for label in artifacts.manifest.labels]
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_a_second_call_does_nothing_and_soon(prepared: Path, model: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in prepared.rglob("*")}

    again = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND, "--model", model, "--output", prepared],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )

    assert again.returncode == 0
    assert "nothing to do" in again.stderr
    # a busy machine is slow: what would make it slow anywhere is not even imported
    imported = set(re.findall(r"\|\s+(\w+)$", again.stderr, re.MULTILINE))
    assert "argparse" in imported
    assert not imported & {"torch", "transformers", "onnx", "onnxruntime", "optimum", "numpy"}
    assert {path: path.stat().st_mtime_ns for path in prepared.rglob("*")} == before


def test_a_change_or_damage_prepares_anew(
    prepared: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Path(shutil.copytree(prepared, tmp_path / "out"))
    arguments = ("--model", model, "--output", output)
    with (output / "onnx" / "int8.onnx").open("ab") as file:
        file.write(b"!")
    with pytest.raises(ArtifactError, match=r"int8\.onnx was altered"):
        Artifacts(output)

    assert prepare(*arguments) == 0
    said = capsys.readouterr().err
    assert "preparing anew, since" in said
    assert "int8.onnx was altered since preparation\n" in said
    for name in ("onnx/fp32.onnx", "onnx/int8.onnx", "torch/model.safetensors"):
        assert (output / name).read_bytes() == (prepared / name).read_bytes()

    assert prepare(*arguments, "--precision", "fp32") == 0
    manifest = Artifacts(output).manifest
    assert manifest.precision == "fp32"
    assert set(manifest.measured) == {"fp32"}
    assert not (output / "onnx" / "int8.onnx").exists()
    nothing_left(tmp_path, "out")


def test_accuracy_is_measured_on_a_labelled_file(model: Path, tmp_path: Path) -> None:
    labelled = tmp_path / "labelled.tsv"
    lines = ["sentence\tlabel", "the film was good\tpositive", "the film was bad\t0"]
    labelled.write_text("\n".join(lines) + "\n")

    arguments = ("--model", model, "--output", tmp_path / "out", "--labelled", labelled)
    assert prepare(*arguments) == 0

    manifest = Artifacts(tmp_path / "out").manifest
    assert manifest.torch_accuracy in (0.0, 0.5, 1.0)
    assert manifest.measured["int8"].accuracy == manifest.torch_accuracy
    assert manifest.measured["int8"].texts == 130


def test_a_label_that_the_model_has_not_is_said_in_a_sentence(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = tmp_path / "labelled.csv"
    labelled.write_text("sentence,label\nthe film was good,maybe\n")
    arguments = ("--model", model, "--output", tmp_path / "out", "--labelled", labelled)
    assert prepare(*arguments) == 1
    assert "row 1 has the label 'maybe'; the model has" in capsys.readouterr().err.splitlines()[-1]
    nothing_left(tmp_path, "labelled.csv")


def test_many_labels_at_once_are_scored_one_by_one(tmp_path: Path) -> None:
    names = tuple(f"mood{number}" for number in range(28))
    problem = "multi_label_classification"
    model = tiny.make(tmp_path / "moods", labels=names, problem_type=problem)

    assert prepare("--model", model, "--output", tmp_path / "out", "--precision", "fp32") == 0

    artifacts = Artifacts(tmp_path / "out")
    assert artifacts.manifest.labels == list(names)
    assert artifacts.manifest.problem_type == problem
    sums = np.array(artifacts.golden.probabilities).sum(axis=1)
    assert np.abs(sums - 1).max() > 0.1  # sigmoids, no softmax


def test_int8_past_its_bounds_gives_way_to_fp32(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(verify, "FLIPS", -0.1)
    output = tmp_path / "out"

    assert prepare("--model", model, "--output", output) == 0
    manifest = Artifacts(output).manifest
    assert manifest.precision == "fp32"
    assert set(manifest.measured) == {"fp32"}
    assert manifest.notes[0].startswith("No int8: its label differs from torch on 0 of 128")
    assert not (output / "onnx" / "int8.onnx").exists()

    shutil.rmtree(output)
    assert prepare("--model", model, "--output", output, "--precision", "int8") == 1
    assert "cannot be served in int8: its label differs" in capsys.readouterr().err
    nothing_left(tmp_path)


def test_a_graph_that_disagrees_with_torch_is_never_written(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(candidates, "FP32_BOUND", 1e-12)

    assert prepare("--model", model, "--output", tmp_path / "out") == 1

    assert "the ONNX model differs from torch by" in capsys.readouterr().err
    nothing_left(tmp_path)


def test_a_full_disk_is_said_in_a_sentence(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(classifier, "write", full)

    assert prepare("--model", model, "--output", tmp_path / "out") == 1

    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("sentiment prepare: the disk is full")
    nothing_left(tmp_path)


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted as root only")
@pytest.mark.parametrize("kilobytes", [100, 300])
def test_a_disk_that_is_really_full(
    kilobytes: int, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine lets root mount nothing")
    try:
        assert prepare("--model", model, "--output", disk / "out") == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("sentiment prepare: the disk is full")
        nothing_left(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_signal_leaves_nothing_behind(model: Path, tmp_path: Path) -> None:
    """Ctrl-C here; `sentiment run` ends its preparation by SIGTERM, which is heard the same way."""
    assert {signal.SIGINT, signal.SIGTERM} <= set(SIGNALS)
    process = subprocess.Popen(
        [sys.executable, *COMMAND, "--model", model, "--output", tmp_path / "out"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    while "asking torch" not in said:  # by then there is something to leave behind
        said += process.stderr.read(1)
    assert list(tmp_path.glob(".out.new-*/torch/model.safetensors"))

    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=120)[1]

    assert process.returncode == 128 + signal.SIGINT
    assert rest.splitlines()[-1] == "sentiment prepare: stopped by SIGINT; nothing was written"
    nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--labelled", "none.tsv"], "none.tsv cannot be read"),
        (["--revision", "main"], "--revision is for models of the hub"),
    ],
)
def test_wrong_arguments_are_said_in_a_sentence(
    arguments: list[str],
    message: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert prepare("--model", model, "--output", tmp_path / "out", *arguments) == 1

    assert message in capsys.readouterr().err.splitlines()[-1]
    nothing_left(tmp_path)


def test_an_output_that_cannot_be_written_is_said_in_a_sentence(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")

    assert prepare("--model", model, "--output", tmp_path / "file" / "out") == 1

    assert "was not written" in capsys.readouterr().err.splitlines()[-1]


def test_help_and_unknown_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "--labelled" in capsys.readouterr().out
    assert main(["--output"]) == 2


def test_the_torch_folder_answers_like_the_source(prepared: Path, model: Path) -> None:
    ours = transformers.AutoModelForSequenceClassification.from_pretrained(prepared / "torch")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(model)
    ids = {"input_ids": torch.tensor([[2, 7, 8, 3]])}

    with torch.inference_mode():
        assert torch.equal(ours(**ids).logits, theirs(**ids).logits)
    assert json.loads((prepared / "torch" / "config.json").read_text())["id2label"]
