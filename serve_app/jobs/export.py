"""A torch classifier to an ONNX graph: export, fuse, narrow to the first token.

The graph's inputs are `input_ids`, `attention_mask` and, for models that take them,
`token_type_ids`, int64 [batch, sequence]; its output is `logits`, float32 [batch, classes].
"""

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from serve_app.jobs.errors import PrepareError, out_of_space
from serve_app.jobs.firsttoken import keep_first_token
from serve_app.jobs.graph import INPUTS, OUTPUT, Graph

OPSET = 19
PROTOBUF_LIMIT = 2**31
FUSED = ("MultiHeadAttention", "LayerNormalization", "BiasGelu")


def export(model: Any) -> onnx.ModelProto:
    """The graph that optimum exports, with nothing but constants folded.

    Args:
        model: a transformers `…ForSequenceClassification` in float32.

    Raises:
        PrepareError: optimum cannot export this kind of model, or not in the form served here.
    """
    from optimum.exporters.onnx import onnx_export_from_model

    kind = model.config.model_type
    if model.num_parameters() * 4 >= PROTOBUF_LIMIT:
        raise PrepareError(
            f"the model has {model.num_parameters():,} parameters; an ONNX file holds 2 GB, which"
            " is about 530 million"
        )
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as empty, quiet():
        # From there optimum would load a tokenizer and save it beside the graph, with its chat
        # templates, which `classifier.write` leaves out.
        model.config._name_or_path = empty
        try:
            onnx_export_from_model(
                model,
                Path(scratch),
                opset=OPSET,
                task="text-classification",
                do_validation=False,
                device="cpu",
            )
        except Exception as error:
            if out_of_space(error):
                raise
            raise PrepareError(f"optimum cannot export a {kind} model to ONNX: {error}") from error
        exported = onnx.load(str(Path(scratch) / "model.onnx"))
    inputs = {value.name for value in exported.graph.input}
    outputs = [value.name for value in exported.graph.output]
    if not inputs <= set(INPUTS) or outputs != [OUTPUT]:
        raise PrepareError(
            f"the exported {kind} model takes {sorted(inputs)} and gives {outputs}; only"
            f" {', '.join(INPUTS)} and {OUTPUT} are served"
        )
    return exported


def fuse(exported: onnx.ModelProto, heads: int, hidden: int) -> onnx.ModelProto:
    """Join what ONNX Runtime has one operator for, then keep the first token only.

    LayerNormalization stays apart from the sum before it: the operator that joins them,
    SkipLayerNormalization, is several times slower on CPUs than the two.

    Args:
        exported: from `export`.
        heads: attention heads of a layer.
        hidden: width of the token stream.
    """
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    options = FusionOptions("bert")
    options.enable_skip_layer_norm = False
    options.enable_bias_skip_layer_norm = False
    options.enable_embed_layer_norm = False
    options.use_multi_head_attention = True
    options.use_raw_attention_mask(True)
    copy = onnx.ModelProto()
    copy.CopyFrom(exported)  # the optimizer takes the weights out of what it is handed
    with quiet():
        fused = optimizer.optimize_model(
            copy,
            "bert",
            num_heads=heads,
            hidden_size=hidden,
            optimization_options=options,
            opt_level=1,
        )
    return keep_first_token(Graph(fused.model).model())


def unfused_parts(model: onnx.ModelProto) -> list[str]:
    """The operators that fusing was to make and did not."""
    present = {node.op_type for node in model.graph.node}
    if "Gelu" in present:
        present.add("BiasGelu")
    return [name for name in FUSED if name not in present]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' warnings and log lines, which concern their authors, off the screen."""
    names = ("optimum", "transformers", "onnxruntime", "fusion_base", "onnx_model", "")
    levels = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:  # noqa: PTH123
        warnings.simplefilter("ignore")
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            with contextlib.redirect_stdout(nowhere):
                yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
