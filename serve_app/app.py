"""`import_path` of serve_config.yaml: the application graph."""

from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application

from serve_app.deployments import Ingress, OnnxClassifier, TorchClassifier
from serve_app.settings import Settings


class Arguments(BaseModel):
    """`args` of the application in serve_config.yaml.

    Attributes:
        config_hash: of the Serve configuration that was applied; `/info` shows it.
    """

    model_config = ConfigDict(extra="forbid")

    config_hash: str = ""


def build(arguments: Arguments) -> Application:
    """One ingress over one torch and one ONNX deployment, all on one prepared model."""
    model = str(Settings().model.resolve())
    ingress = serve.deployment(serve.ingress()(Ingress))
    torch = serve.deployment(TorchClassifier)
    onnx = serve.deployment(OnnxClassifier)
    return ingress.bind(model, arguments.config_hash, torch.bind(model), onnx.bind(model))
