"""NVIDIA Triton by its Python package: dynamic batching, an instance for each core."""

import os
import socket
import sysconfig

import numpy as np
import numpy.typing as npt
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers.classifier import Given, load


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Serve until SIGTERM."""
    given = Given.read()
    classify = load(given)
    # Triton's own Python must be the very one that runs here, not the system's next to it.
    own = sysconfig.get_config_var("LIBDIR")
    os.environ["LD_LIBRARY_PATH"] = f"{own}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")

    @batch
    def infer(text: npt.NDArray[np.bytes_]) -> dict[str, npt.NDArray[np.generic]]:
        answers = classify([item.decode() for item in text[:, 0]])
        return {
            "label": np.array([[answer["label"].encode()] for answer in answers]),
            "score": np.array([[answer["score"]] for answer in answers], dtype=np.float32),
        }

    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=given.port,
        grpc_address="127.0.0.1",
        grpc_port=_free_port(),
        metrics_address="127.0.0.1",
        metrics_port=_free_port(),
    )
    with Triton(config=config) as it:
        it.bind(
            model_name="sentiment",
            infer_func=[infer] * given.workers,
            inputs=[Tensor(name="text", dtype=bytes, shape=(1,))],
            outputs=[
                Tensor(name="label", dtype=bytes, shape=(1,)),
                Tensor(name="score", dtype=np.float32, shape=(1,)),
            ],
            config=ModelConfig(
                max_batch_size=given.batch,
                batcher=DynamicBatcher(),
            ),
        )
        it.serve()


if __name__ == "__main__":
    main()
