"""Every family of models, tiny and random: exported, fused, quantised, and equal to torch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from serve_app.engine.onnx_backend import onnx_run
from serve_app.jobs import candidates, classifier, export, quantize, verify
from serve_app.jobs.errors import PrepareError
from serve_app.jobs.texts import fixed_texts
from tests.jobs import tiny

TEXTS = fixed_texts()[::5]
FUSABLE = {"bert", "distilbert", "roberta", "xlm-roberta", "electra"}


def judge(
    loaded: classifier.Classifier,
) -> tuple[verify.Probabilities, Callable[[Path], verify.Verdict]]:
    sample = verify.tokenize(loaded.tokenizer, TEXTS, len(TEXTS), [], loaded.pad)
    run = verify.torch_run(loaded.model)
    reference = verify.predict(run, sample, sample.sorted(), loaded.problem_type)

    def compare(path: Path) -> verify.Verdict:
        run = onnx_run(path, threads=1)
        return verify.measure(run, reference, sample, loaded.problem_type)

    return reference, compare


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_family_is_exported_fused_and_quantised(family: str, tmp_path: Path) -> None:
    loaded = classifier.load(tiny.make(tmp_path / family, family), family)
    _, compare = judge(loaded)

    plain, fused, notes = candidates.export_and_fuse(loaded)
    path = tmp_path / "fp32.onnx"
    kept, verdict, more = candidates.first_that_agrees(path, [*fused, plain], compare)

    assert kept is fused[0]
    assert more == []
    assert verdict.measured.flips == 0
    assert verdict.measured.batch_drift < 1e-5
    inputs = {value.name for value in kept.graph.input}
    assert inputs >= {"input_ids", "attention_mask"}
    assert ("token_type_ids" in inputs) == (family in ("bert", "electra"))
    operators = {node.op_type for node in kept.graph.node}
    assert "SkipLayerNormalization" not in operators
    assert operators >= {"LayerNormalization", "BiasGelu"}
    if family in FUSABLE:
        assert "MultiHeadAttention" in operators
        assert notes == []
    else:
        assert notes == [f"Not fused in the {family} graph: MultiHeadAttention."]

    made = quantize.quantize(kept)
    assert quantize.check_pairs(made.model) > 0
    assert made.products >= 8
    assert made.left == (4 if family == "deberta" else 0)  # its products of positions alone
    onnx.save(made.model, str(path))
    measured = compare(path).measured
    assert measured.batch_drift < 1e-5
    assert measured.mean_difference < 0.05


def test_a_graph_that_cannot_be_fused_is_served_as_exported(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> onnx.ModelProto:
        raise RuntimeError("no such\npattern")

    monkeypatch.setattr(export, "fuse", refuse)

    plain, fused, notes = candidates.export_and_fuse(classifier.load(model, "tiny"))

    assert fused == []
    assert notes == ["The bert graph is served as exported: no such pattern."]
    assert {value.name for value in plain.graph.output} == {"logits"}


def test_a_fused_graph_that_differs_gives_way_to_the_plain_one(model: Path, tmp_path: Path) -> None:
    loaded = classifier.load(model, "tiny")
    plain = export.export(loaded.model)
    wrong = onnx.ModelProto()
    wrong.CopyFrom(plain)
    for tensor in wrong.graph.initializer:
        if tensor.name == "classifier.bias":
            tensor.CopyFrom(
                onnx.numpy_helper.from_array(np.array([9, -9], dtype=np.float32), tensor.name)
            )
    _, compare = judge(loaded)

    path = tmp_path / "fp32.onnx"
    kept, _, notes = candidates.first_that_agrees(path, [wrong, plain], compare)

    assert kept is plain
    assert notes[0].startswith("A graph differs from torch by")
    assert onnx.load(str(path)) == plain
    with pytest.raises(PrepareError, match="differs from torch by"):
        candidates.first_that_agrees(path, [wrong], compare)


def test_an_int8_graph_past_its_bounds_is_taken_back(tmp_path: Path) -> None:
    loaded = classifier.load(tiny.make(tmp_path / "torn", seed=5, spread=0.25), "torn")
    _, compare = judge(loaded)
    kept = export.fuse(export.export(loaded.model), tiny.HEADS, tiny.WIDTH)
    path = tmp_path / "int8.onnx"

    def strict(path: Path) -> verify.Verdict:
        found = compare(path)
        measured = found.measured.model_copy(update={"flips": 5, "batch_drift": 0.5})
        return verify.Verdict(measured, found.threshold)

    verdict, faults = candidates.hold(path, quantize.quantize(kept).model, strict)

    assert verdict is None
    assert len(faults) == 2
    assert not path.exists()


def test_a_family_optimum_cannot_export_is_refused(tmp_path: Path) -> None:
    loaded = classifier.load(tiny.make(tmp_path / "tiny"), "tiny")
    loaded.model.config.model_type = "unheard-of"

    with pytest.raises(PrepareError, match="cannot export a unheard-of model"):
        export.export(loaded.model)
