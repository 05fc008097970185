"""`import_path` of serve_config.yaml: the application graph."""

from typing import Any

from ray import serve
from ray.serve import Application

from serve_app.classifier import OnnxClassifier, TorchClassifier
from serve_app.ingress import Ingress
from serve_app.settings import Settings


def build(_: dict[str, Any]) -> Application:
    """One ingress over one torch and one ONNX deployment, all on one prepared model."""
    model = str(Settings().model.resolve())
    ingress = serve.deployment(serve.ingress()(Ingress))
    torch = serve.deployment(TorchClassifier)
    onnx = serve.deployment(OnnxClassifier)
    return ingress.bind(model, torch.bind(model), onnx.bind(model))
