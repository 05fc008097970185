"""The twins behind one interface: one test for both, and each against the other."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
import torch

from serve_app.engine.artifacts import Artifacts
from serve_app.engine.backend import Backend, Encoded
from serve_app.engine.certificate import certify, cpu_name
from serve_app.engine.onnx_backend import OnnxBackend
from serve_app.engine.postprocess import Logits, apply
from serve_app.engine.torch_backend import TorchBackend

Make = Callable[[Artifacts], Backend]
BACKENDS: dict[str, Make] = {
    "torch": lambda artifacts: TorchBackend(artifacts, 1),
    "fp32": lambda artifacts: OnnxBackend(artifacts, 1, "fp32"),
    "int8": lambda artifacts: OnnxBackend(artifacts, 1, "int8"),
}
TEXTS = ["A lovely film.", "Dull. " * 40, "x", "Not bad at all, though far too long " * 5, "🎬"]


@pytest.fixture(scope="module")
def artifacts(prepared: Path) -> Artifacts:
    return Artifacts(prepared)


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest, artifacts: Artifacts) -> Backend:
    return BACKENDS[request.param](artifacts)


def probabilities(backend: Backend, texts: list[str]) -> npt.NDArray[np.float64]:
    return apply(backend.logits(backend.encode(texts)), "softmax")


def test_logits_are_one_row_a_text_in_order(backend: Backend) -> None:
    logits = backend.logits(backend.encode(TEXTS))
    assert logits.shape == (len(TEXTS), 2)
    assert logits.dtype == np.float32
    again = np.concatenate([backend.logits(backend.encode([text])) for text in TEXTS])
    assert logits == pytest.approx(again, abs=1e-3)


def test_a_long_text_is_truncated_and_says_so(backend: Backend) -> None:
    short, long = backend.encode(["short", "long " * 1000])
    assert (short.truncated, long.truncated) == (False, True)
    assert len(long) == 512


def test_each_agrees_with_torch(backend: Backend, artifacts: Artifacts) -> None:
    reference = probabilities(BACKENDS["torch"](artifacts), TEXTS)
    bound = artifacts.manifest.measured["int8"].max_difference + 0.01
    assert probabilities(backend, TEXTS) == pytest.approx(
        reference, abs=bound if backend.precision == "int8" else 1e-5
    )


def test_each_is_certified_here(backend: Backend, artifacts: Artifacts) -> None:
    certificate = certify(backend, artifacts)
    assert certificate.passed, str(certificate)
    assert certificate.texts == 64
    assert certificate.batch_drift <= 1e-5
    assert certificate.cpu


def test_a_model_that_answers_otherwise_is_not_certified(artifacts: Artifacts) -> None:
    class Wrong(OnnxBackend):
        def logits(self, batch: Sequence[Encoded]) -> Logits:
            return np.negative(super().logits(batch))

    certificate = certify(Wrong(artifacts, 1, "int8"), artifacts)
    assert not certificate.passed
    assert certificate.flips > 30
    assert "NOT certified" in str(certificate)


def test_torch_keeps_to_its_threads_in_whatever_thread_calls(artifacts: Artifacts) -> None:
    """onnxruntime#29510: pools sized to the host, not to the container."""
    backend = TorchBackend(artifacts, 1)
    backend.logits(backend.encode(["x"]))
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("threads", [1, 3])
def test_onnx_has_its_threads_and_no_more(artifacts: Artifacts, threads: int) -> None:
    # The first text of a process starts the tokenizers' own threads.
    OnnxBackend(artifacts, 1, "int8").encode(["x"])
    before = psutil.Process().num_threads()
    backend = OnnxBackend(artifacts, threads, "int8")
    backend.logits(backend.encode(["x"]))
    assert psutil.Process().num_threads() == before + threads - 1  # who calls is one of them


def test_the_cpus_name_has_its_integer_instructions(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("model name\t: Fast One\nflags\t\t: sse avx2 avx512_vnni\n")
    assert cpu_name(info) == "Fast One (avx2, avx512_vnni)"
    assert cpu_name(tmp_path / "none")
