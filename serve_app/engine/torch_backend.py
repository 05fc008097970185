"""The model in PyTorch, as transformers defines it."""

import threading
from collections.abc import Sequence

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification

from serve_app.engine.artifacts import Artifacts
from serve_app.engine.backend import Encoded
from serve_app.engine.postprocess import Logits
from serve_app.engine.tokenizer import Tokenizer


class TorchBackend:
    """`Backend` over a transformers sequence classifier, fp32."""

    name = "transformers"
    precision = "fp32"

    def __init__(self, artifacts: Artifacts, threads: int) -> None:
        self.threads = threads
        self._local = threading.local()
        self._model = AutoModelForSequenceClassification.from_pretrained(
            artifacts.torch, local_files_only=True, dtype=torch.float32
        ).eval()
        manifest = artifacts.manifest
        self._tokenizer = Tokenizer(
            artifacts.torch, manifest.max_length, self._model.config.pad_token_id or 0
        )

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return self._tokenizer.encode(texts)

    def logits(self, batch: Sequence[Encoded]) -> Logits:
        self._limit_threads()
        ids, mask = self._tokenizer.pad(batch)
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)
            )
        return np.asarray(output.logits.numpy(), dtype=np.float32)

    def _limit_threads(self) -> None:
        # OpenMP keeps its number of threads per calling thread, so each worker must say it once.
        if not hasattr(self._local, "limited"):
            torch.set_num_threads(self.threads)
            self._local.limited = True
