"""A backend that has proved itself on this CPU, as replicas and jobs run it."""

from typing import Literal, get_args

from serve_app.engine.artifacts import Artifacts, Precision
from serve_app.engine.backend import Backend
from serve_app.engine.certificate import Certificate, certify

BackendName = Literal["transformers", "onnx"]
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
Choice = Literal["prepared", "fp32", "int8"]
"""A precision, or what preparation chose."""


class NotCertifiedError(Exception):
    """No precision of the model answers on this CPU as it did at preparation."""


def load(
    name: BackendName, artifacts: Artifacts, threads: int, precision: Choice = "prepared"
) -> tuple[Backend, list[Certificate]]:
    """The backend in the first of its precisions that is certified; fp32 stands in for int8.

    Args:
        precision: of ONNX; torch is always fp32.

    Returns:
        It, and the certificates of all that were tried; the last one is its own.

    Raises:
        ArtifactError: the folder has no model of that precision.
        NotCertifiedError: none passed; the message has their certificates.
    """
    tried: list[Certificate] = []
    for one in _precisions(name, artifacts, precision):
        backend = open_backend(name, artifacts, threads, one)
        tried.append(certify(backend, artifacts))
        if tried[-1].passed:
            return backend, tried
    said = "; ".join(map(str, tried))
    raise NotCertifiedError(f"{name} does not answer here as it did at preparation: {said}")


def open_backend(
    name: BackendName, artifacts: Artifacts, threads: int, precision: Precision
) -> Backend:
    """The backend, unproved. Imports its library only here: torch alone is half a second."""
    if name == "transformers":
        from serve_app.engine.torch_backend import TorchBackend

        return TorchBackend(artifacts, threads)
    from serve_app.engine.onnx_backend import OnnxBackend

    return OnnxBackend(artifacts, threads, precision)


def _precisions(name: BackendName, artifacts: Artifacts, precision: Choice) -> list[Precision]:
    if name == "transformers":
        return ["fp32"]
    chosen = artifacts.manifest.precision if precision == "prepared" else precision
    return ["fp32"] if chosen == "fp32" else [chosen, "fp32"]
