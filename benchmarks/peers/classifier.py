"""Text to answer, alike in every alternative: tokenize, run, softmax, best label.

Imports nothing of the service: the alternatives run in environments that do not have it. They
share its tokenizer file, its graphs and its onnxruntime options, so that what differs between
servers is the serving.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

MAX_LENGTH = 512

Prediction = dict[str, Any]
Classify = Callable[[Sequence[str]], list[Prediction]]
Ids = npt.NDArray[np.int64]
Run = Callable[[Ids, Ids], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Given:
    """What the benchmark tells a server, by environment variables `BENCH_<NAME>`.

    Attributes:
        model: the prepared folder.
        graph: the ONNX file to run; None for torch.
        workers, threads, batch: see `catalog.Setup`.
    """

    model: Path
    graph: Path | None
    port: int
    workers: int
    threads: int
    batch: int

    @classmethod
    def read(cls) -> "Given":
        graph = os.environ.get("BENCH_GRAPH")
        return cls(
            model=Path(os.environ["BENCH_MODEL"]),
            graph=Path(graph) if graph else None,
            port=int(os.environ["BENCH_PORT"]),
            workers=int(os.environ["BENCH_WORKERS"]),
            threads=int(os.environ["BENCH_THREADS"]),
            batch=int(os.environ["BENCH_BATCH"]),
        )

    def environment(self) -> dict[str, str]:
        """The variables that `read` reads."""
        return {
            "BENCH_MODEL": str(self.model),
            "BENCH_GRAPH": str(self.graph or ""),
            "BENCH_PORT": str(self.port),
            "BENCH_WORKERS": str(self.workers),
            "BENCH_THREADS": str(self.threads),
            "BENCH_BATCH": str(self.batch),
        }


def load(given: Given) -> Classify:
    """The model of one process; the result may be called from several threads."""
    folder = given.model / "torch"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    labels = [config["id2label"][str(index)] for index in range(len(config["id2label"]))]
    pad = config.get("pad_token_id") or 0
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_LENGTH)
    run = _torch(folder, given.threads) if given.graph is None else _onnx(given.graph, given)

    def classify(texts: Sequence[str]) -> list[Prediction]:
        encoded = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        shape = (len(encoded), max(map(len, encoded)))
        ids, mask = np.full(shape, pad, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return best(run(ids, mask), labels)

    return classify


def best(logits: npt.NDArray[np.float32], labels: Sequence[str]) -> list[Prediction]:
    """The likeliest label of each row and its probability."""
    exponents = np.exp((logits - logits.max(axis=-1, keepdims=True)).astype(np.float64))
    scores = exponents / exponents.sum(axis=-1, keepdims=True)
    return [{"label": labels[int(row.argmax())], "score": float(row.max())} for row in scores]


def _onnx(graph: Path, given: Given) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = given.threads
    options.inter_op_num_threads = 1
    # What the service found to pay; the alternatives get it too.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(
        graph,
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["SkipLayerNormFusion"],
    )
    inputs = {node.name for node in session.get_inputs()}

    def run(ids: Ids, mask: Ids) -> npt.NDArray[np.float32]:
        feed = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in inputs:
            feed["token_type_ids"] = np.zeros_like(ids)
        return np.asarray(session.run(["logits"], feed)[0], dtype=np.float32)

    return run


def _torch(folder: Path, threads: int) -> Run:
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(threads)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32
    ).eval()

    def run(ids: Ids, mask: Ids) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            output = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
        return np.asarray(output.logits.numpy(), dtype=np.float32)

    return run
