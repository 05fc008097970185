"""`sentiment compare`: what it measures, what it advises, and how it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from serve_app.jobs.compare import (
    Flip,
    Way,
    _flipped,
    main,
    mcnemar,
    parser,
    verdict,
)
from serve_app.jobs.source import prepared_folder

TEXTS = ["the film was very good", "a bad film", "it is great and awful", "not good", "to this"]
TORCH = Way("transformers", "fp32", True, 0.9, 1.0, 0, 872, 0, 0.0, 0.0, 0.0, 8.0, 9.0, [])
INT8 = Way("onnx", "int8", True, 0.9, 1.0, 2, 872, 2, 1e-3, 1e-1, 0.0, 2.0, 3.0, [])


def labelled(folder: Path, labels: list[str]) -> Path:
    rows = [f"{text}\t{label}" for text, label in zip(TEXTS, labels, strict=True)]
    path = folder / "dev.tsv"
    path.write_text("\n".join(["sentence\tlabel", *rows]) + "\n", encoding="utf-8")
    return path


def test_the_report_has_every_precision_and_a_verdict(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labelled(tmp_path, ["1", "0", "positive", "NEGATIVE", "1"])
    written = tmp_path / "report.json"
    assert main([str(path), "--model", str(prepared), "--rounds", "1", "--json", str(written)]) == 0
    out = capsys.readouterr().out
    ways = json.loads(written.read_text())
    assert [way["precision"] for way in ways] == ["fp32", "fp32", "int8"]
    for way in ways:
        assert f"| {way['backend']} {way['precision']} | {way['accuracy']:.4f} |" in out
        assert way["certified"]
        assert way["flips"] == 0
        assert way["batch_drift"] < 1e-3
        assert 0 < way["p50_ms"] <= way["p95_ms"]
    # By the answers of torch itself, which preparation kept.
    from serve_app.engine.artifacts import Artifacts
    from serve_app.engine.loading import load

    backend, _ = load("transformers", Artifacts(prepared), 1)
    said = backend.logits(backend.encode(TEXTS)).argmax(axis=1)
    right = sum(said == [1, 0, 1, 0, 1]) / len(TEXTS)
    assert ways[0]["accuracy"] == pytest.approx(right)
    assert out.rstrip().splitlines()[-1].startswith("Run ")


def test_without_labels_the_answers_are_compared_all_the_same(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "texts.ndjson"
    path.write_text("".join(json.dumps({"input": text}) + "\n" for text in TEXTS))
    arguments = [str(path), "--model", str(prepared), "--rounds", "1", "--text-column", "input"]
    assert main(arguments) == 0
    assert "| transformers fp32 | – | 0 |" in capsys.readouterr().out


def test_the_fastest_that_is_as_good_is_advised() -> None:
    assert verdict([TORCH, INT8]) == (
        "Run onnx int8: 4.0 times as fast as torch on a lone text, 2 of its answers are others,"
        " accuracy +0.0000 (p = 1)."
    )


def test_what_is_less_often_right_is_not_advised() -> None:
    said = verdict([TORCH, replace(INT8, accuracy=0.8, p_value=1e-4)])
    assert said.startswith("Run transformers fp32: ")
    assert "onnx int8 is less often right than torch (p = 0.0001)" in said


def test_without_labels_too_many_other_answers_are_not_advised() -> None:
    torch = replace(TORCH, accuracy=None, p_value=None)
    few = replace(INT8, accuracy=None, p_value=None)
    assert verdict([torch, few]).startswith("Run onnx int8: ")
    said = verdict([torch, replace(few, flips=500)])
    assert said.startswith("Run transformers fp32: ")
    assert "onnx int8 answers 500 of 872 texts otherwise" in said


def test_a_file_that_cannot_tell_is_told() -> None:
    said = verdict([TORCH, replace(INT8, accuracy=0.775, p_value=0.0625, discordant=5)])
    assert said.endswith(
        "accuracy -0.1250 (p = 0.062), which 5 texts decide: too few to tell, give more."
    )


def test_of_several_labels_the_one_that_crossed_is_shown() -> None:
    manifest = SimpleNamespace(
        problem_type="multi_label_classification", labels=["joy", "anger", "fear"]
    )
    torch = np.array([[0.9, 0.49, 0.1], [0.9, 0.1, 0.2]])
    ours = np.array([[0.6, 0.51, 0.1], [0.8, 0.1, 0.2]])
    assert _flipped(ours, torch, ["one", "two"], manifest) == [  # type: ignore[arg-type]
        Flip("one", "anger", 0.49, "anger", 0.51)
    ]


def test_a_report_that_cannot_be_written_is_told_before_anything_is_measured(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labelled(tmp_path, ["1", "0", "1", "0", "1"])
    away = tmp_path / "away" / "report.json"
    assert main([str(path), "--model", str(prepared), "--json", str(away)]) == 1
    said = capsys.readouterr()
    assert "report.json cannot be written: No such file or directory." in said.err
    assert "round 1" not in said.err


def test_a_refusal_leaves_no_report_and_no_other_file_changed(tmp_path: Path) -> None:
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    old.write_text("[]")
    for path in (new, old):
        assert main(["dev.tsv", "--model", str(tmp_path / "none"), "--json", str(path)]) == 1
    assert not new.exists()
    assert old.read_text() == "[]"


def test_a_report_is_printed_where_the_disk_is_full_at_the_end(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labelled(tmp_path, ["1", "0", "1", "0", "1"])
    arguments = [str(path), "--model", str(prepared), "--rounds", "1", "--json", "/dev/full"]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert said.out.rstrip().splitlines()[-1].startswith("Run ")
    assert "/dev/full was not written: No space left on device." in said.err
    assert "round 1 of 1: onnx int8 on 5 texts …" in said.err


def test_the_model_may_be_named_as_when_it_was_prepared(tmp_path: Path) -> None:
    prepared_from = parser().parse_args(["a.csv", "--model", "someone/model"]).model
    assert prepared_from == prepared_folder("someone/model")
    (tmp_path / "config.json").write_text("{}")
    assert parser().parse_args(["a.csv", "--model", str(tmp_path)]).model == prepared_folder(
        str(tmp_path)
    )
    (tmp_path / "config.json").unlink()
    assert parser().parse_args(["a.csv", "--model", str(tmp_path)]).model == tmp_path


def test_what_is_not_certified_is_not_advised() -> None:
    said = verdict([TORCH, replace(INT8, certified=False)])
    assert said.startswith("Run transformers fp32: ")
    assert "onnx int8 is not certified on this CPU" in said


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (1, 1, 1.0), (0, 5, 0.0625), (2, 10, 0.03857421875)]
)
def test_mcnemar(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == pytest.approx(p)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "has the label 'maybe'; the model has NEGATIVE, POSITIVE (or 0 to 1)"),
        (("--text-column", "text"), "has no column 'text', but sentence, label"),
        (("--model", "/nowhere"), "sentiment prepare"),
    ],
)
def test_a_refusal_is_one_sentence(
    arguments: tuple[str, ...],
    said: str,
    prepared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = labelled(tmp_path, ["1", "0", "maybe", "0", "1"])
    assert main([str(path), "--model", str(prepared), *arguments]) == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
