"""The model in ONNX Runtime, fp32 or int8 with one activation scale per token."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from serve_app.engine.artifacts import Artifacts, Precision
from serve_app.engine.backend import Encoded
from serve_app.engine.postprocess import Logits
from serve_app.engine.tokenizer import Ids, Tokenizer

Feed = dict[str, Ids]
"""`input_ids` and `attention_mask`."""


class OnnxBackend:
    """`Backend` over one ONNX Runtime session.

    Raises:
        ArtifactError: the folder has no model of that precision.
    """

    name = "onnx"

    def __init__(self, artifacts: Artifacts, threads: int, precision: Precision) -> None:
        self.threads = threads
        self.precision: str = precision
        self._run = onnx_run(artifacts.onnx(precision), threads)
        config = json.loads((artifacts.torch / "config.json").read_text(encoding="utf-8"))
        self._tokenizer = Tokenizer(
            artifacts.torch, artifacts.manifest.max_length, config.get("pad_token_id") or 0
        )

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return self._tokenizer.encode(texts)

    def logits(self, batch: Sequence[Encoded]) -> Logits:
        ids, mask = self._tokenizer.pad(batch)
        return self._run({"input_ids": ids, "attention_mask": mask})


def onnx_run(model: Path, threads: int) -> Callable[[Feed], Logits]:
    """A graph on the CPU, for a replica that shares its machine with others.

    Args:
        threads: of one call.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A spinning thread takes the core that the neighbour's model needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(
        model,
        options,
        providers=["CPUExecutionProvider"],
        # At load ONNX Runtime would fuse Add + LayerNormalization into an operator that is
        # several times slower on the CPU.
        disabled_optimizers=["SkipLayerNormFusion"],
    )
    segments = "token_type_ids" in {node.name for node in session.get_inputs()}

    def run(feed: Feed) -> Logits:
        if segments:  # a lone text is all one
            feed = {**feed, "token_type_ids": np.zeros_like(feed["input_ids"])}
        return np.asarray(session.run(["logits"], feed)[0], dtype=np.float32)

    return run
