"""The service with a model that sleeps: what the way to the model costs, however many replicas.

Only the backend is a stub: the ingress, its dispatcher, the replicas' batcher and Serve itself are
the ones that are served. A text takes the same time whatever it says, and no CPU, so that more
replicas than this machine has cores can be seen to work.
"""

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from ray import serve
from ray.serve import Application

from benchmarks.stub_server import COST_MS
from serve_app.classifier import Classifier, ReplicaConfig
from serve_app.engine.backend import Backend, Encoded
from serve_app.engine.certificate import Certificate, cpu_name
from serve_app.engine.postprocess import Logits
from serve_app.ingress import Ingress
from serve_app.settings import Settings


class StubBackend:
    """`Backend` whose every text takes `cost` seconds of no CPU."""

    name = "onnx"
    precision = "stub"
    threads = 1

    def __init__(self, cost: float) -> None:
        self._cost = cost

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return [Encoded([0] * (text.count(" ") + 3)) for text in texts]

    def logits(self, batch: Sequence[Encoded]) -> Logits:
        time.sleep(self._cost * len(batch))
        return np.zeros((len(batch), 2), dtype=np.float32)


class StubClassifier(Classifier):
    """A model deployment with the stub in the place of torch or ONNX."""

    def _load(self, config: ReplicaConfig) -> tuple[Backend, Certificate]:
        backend = StubBackend(float(os.environ[COST_MS]) / 1000)
        certificate = Certificate(
            backend=backend.name,
            precision=backend.precision,
            cpu=cpu_name(),
            threads=1,
            texts=0,
            max_difference=0.0,
            bound=0.0,
            flips=0,
            batch_drift=0.0,
            passed=True,
            seconds=0.0,
        )
        return backend, certificate


def build(_: dict[str, Any]) -> Application:
    """`serve_app.app.build` with stubs for the models."""
    model = str(Settings().model.resolve())
    ingress = serve.deployment(serve.ingress()(Ingress))
    stubs = [
        serve.deployment(name=name)(StubClassifier).bind(model)
        for name in ("TorchClassifier", "OnnxClassifier")
    ]
    return ingress.bind(model, *stubs)
