"""The forms in which one prepared model is handed to a server."""

import shutil
from pathlib import Path
from typing import Literal

CACHE = Path(".cache/bench")
BUNDLED = Path(".cache/prepared/sst2-minilm")
SHAPE = Path(".cache/prepared/distilbert-shape")

Precision = Literal["torch", "fp32", "int8", "dynamic"]

NAMES: dict[Precision, str] = {
    "torch": "torch fp32",
    "fp32": "ONNX fp32",
    "int8": "ONNX int8",
    "dynamic": "ONNX int8, ordinary dynamic",
}
"""`int8` is the batch-invariant graph of the prepared folder, one activation scale a token;
`dynamic` what onnxruntime's own quantize_dynamic makes, one for the whole batch."""


def compared_with(precision: Precision) -> Precision:
    """The precision of ours that one is compared with: it has no ordinary dynamic int8."""
    return "int8" if precision == "dynamic" else precision


def graph(model: Path, precision: Precision) -> Path | None:
    """The ONNX file of a precision; None for torch. The dynamic one is made where it is missing."""
    if precision == "torch":
        return None
    if precision != "dynamic":
        return (model / "onnx" / f"{precision}.onnx").resolve()
    target = (CACHE / model.name / "dynamic.onnx").resolve()
    source = model / "onnx" / "fp32.onnx"
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        # What onnxruntime's fused operators give has a type that its shape inference cannot tell.
        options = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(source, partial, weight_type=QuantType.QInt8, extra_options=options)
        partial.replace(target)
    return target


def hub_folder(model: Path, precision: Precision) -> Path:
    """The model laid out as on the Hugging Face hub, for servers that load such folders."""
    target = (CACHE / model.name / f"hub-{precision}").resolve()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in (model / "torch").iterdir():
        (target / file.name).symlink_to(file.resolve())
    file_of = graph(model, precision)
    if file_of is not None:
        (target / "model.onnx").symlink_to(file_of)
    return target
