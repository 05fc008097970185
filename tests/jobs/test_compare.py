"""`sentiment compare`: what it measures, what it advises, and how it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.jobs.compare import CompareError, Way, main, mcnemar, read, verdict

TEXTS = ["the film was very good", "a bad film", "it is great and awful", "not good", "to this"]
TORCH = Way("transformers", "fp32", True, 0.9, 1.0, 0, 0.0, 0.0, 0.0, 8.0, 9.0, [])
INT8 = Way("onnx", "int8", True, 0.9, 1.0, 2, 1e-3, 1e-1, 0.0, 2.0, 3.0, [])


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


def test_what_is_not_certified_is_not_advised() -> None:
    said = verdict([TORCH, replace(INT8, certified=False)])
    assert said.startswith("Run transformers fp32: ")
    assert "onnx int8 is not certified on this CPU" in said


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (1, 1, 1.0), (0, 5, 0.0625), (2, 10, 0.03857421875)]
)
def test_mcnemar(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == pytest.approx(p)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "dev.csv"
    path.write_text("sentence,label\nfine,1\n", encoding="utf-8-sig")
    assert read(path, "sentence", "label", ["NO", "YES"]).texts == ["fine"]


@pytest.mark.usefixtures("usual_field_limit")
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("short.csv", "label,sentence\n1,fine\n0\n", "row 2 has no 'sentence'"),
        ("short.tsv", "sentence\tlabel\nfine\n", "row 1 has no 'label'"),
        ("in.ndjson", '{"sentence": "fine"}\n{"text": "bad"}\n', "row 2 has no 'sentence'"),
        ("in.jsonl", '{"sentence": "fine"}\n["bad"]\n', "row 2 has no 'sentence'"),
        ("list.ndjson", '["fine"]\n', "no column 'sentence'"),
        ("long.csv", "text\nfine,1\n", "no column 'sentence', but text"),
        ("huge.csv", f"sentence,label\n{'x' * 200_000},1\n", "cannot be read: field larger"),
    ],
    ids=lambda value: value[:20],
)
def test_a_file_with_a_fault_is_refused(name: str, content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CompareError, match=said):
        read(path, "sentence", "label", ["NO", "YES"])


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
