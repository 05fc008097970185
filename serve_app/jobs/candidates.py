"""Graphs that may be served: each is written, compared with torch, and kept or taken back."""

from collections.abc import Callable
from pathlib import Path

import onnx

from serve_app.engine.certificate import FP32_BOUND
from serve_app.jobs import export, quantize
from serve_app.jobs.classifier import Classifier
from serve_app.jobs.errors import PrepareError, one_line, out_of_space
from serve_app.jobs.verify import Verdict

Judge = Callable[[Path], Verdict]


def export_and_fuse(
    classifier: Classifier,
) -> tuple[onnx.ModelProto, list[onnx.ModelProto], list[str]]:
    """The exported graph, the fused one where fusing worked, and sentences on what did not.

    Raises:
        PrepareError: the model cannot be exported.
    """
    plain = export.export(classifier.model)
    config = classifier.model.config
    try:
        fused = export.fuse(plain, config.num_attention_heads, config.hidden_size)
    except Exception as error:  # the optimizer knows some graphs only, and fails in many ways
        if out_of_space(error):
            raise
        said = f"The {config.model_type} graph is served as exported: {one_line(error)}."
        return plain, [], [said]
    missing = export.unfused_parts(fused)
    notes = [f"Not fused in the {config.model_type} graph: {', '.join(missing)}."]
    return plain, [fused], notes if missing else []


def first_that_agrees(
    path: Path, graphs: list[onnx.ModelProto], judge: Judge
) -> tuple[onnx.ModelProto, Verdict, list[str]]:
    """Keep the first float32 graph that agrees with torch.

    Args:
        path: where to write it.
        graphs: in order of preference.
        judge: compares a written file with torch.

    Raises:
        PrepareError: none agrees.
    """
    notes: list[str] = []
    difference = float("nan")
    for graph in graphs:
        onnx.save(graph, str(path))
        try:
            verdict = judge(path)
        except Exception as error:  # onnxruntime's own classes share no base
            if out_of_space(error):
                raise
            notes.append(f"A graph does not run: {one_line(error)}.")
            continue
        difference = verdict.measured.max_difference
        if difference <= FP32_BOUND:
            return graph, verdict, notes
        notes.append(f"A graph differs from torch by {difference:.1g}, the next one is taken.")
    raise PrepareError(
        f"the ONNX model differs from torch by {difference:.1g} in a probability (at most"
        f" {FP32_BOUND})"
    )


def quantised(graph: onnx.ModelProto) -> tuple[onnx.ModelProto | str, list[str]]:
    """The int8 graph, or why there is none, and sentences on what stays in float32."""
    try:
        made = quantize.quantize(graph)
        quantize.check_pairs(made.model)
    except Exception as error:  # onnxruntime's own, where a graph does not take any ids
        if out_of_space(error):
            raise
        return one_line(error), []
    if not made.left:
        return made.model, []
    total = made.left + made.products
    return made.model, [f"int8 leaves {made.left} of {total} products with weights in fp32."]


def hold(
    path: Path, graph: onnx.ModelProto | str, judge: Judge
) -> tuple[Verdict | None, list[str]]:
    """Keep an int8 graph that holds its bounds.

    Returns:
        What was measured, or None and the reasons.
    """
    if isinstance(graph, str):
        return None, [graph]
    onnx.save(graph, str(path))
    try:
        verdict = judge(path)
    except Exception as error:
        path.unlink()
        return None, [one_line(error)]
    faults = verdict.faults()
    if faults:
        path.unlink()
        return None, faults
    return verdict, []
