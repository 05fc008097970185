"""MLServer: a custom runtime in two worker processes; without its adaptive batching, which is off
unless told, and with which one process took all of few requests while the other stood idle."""

import os
import shutil
import socket
import sys
from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.classifier import Given, load

FOLDER = Path(".cache/bench/mlserver")
"""For its metrics; made anew at each start."""


class Runtime(MLModel):
    async def load(self) -> bool:
        self.classify = load(Given.read())
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        import numpy as np

        answers = self.classify(StringCodec.decode_input(payload.inputs[0]))
        scores = np.array([[answer["score"]] for answer in answers], dtype=np.float32)
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            outputs=[
                StringCodec.encode_output("label", [answer["label"] for answer in answers]),
                NumpyCodec.encode_output("score", scores),
            ],
        )


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def main() -> None:
    """Become MLServer."""
    given = Given.read()
    folder = FOLDER.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ |= {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(given.port),
        "MLSERVER_GRPC_PORT": _free_port(),
        "MLSERVER_METRICS_PORT": _free_port(),
        "MLSERVER_METRICS_DIR": str(folder),
        "MLSERVER_PARALLEL_WORKERS": str(given.workers),
        "MLSERVER_MODEL_NAME": "sentiment",
        "MLSERVER_MODEL_IMPLEMENTATION": "benchmarks.peers.mlserver.Runtime",
        "MLSERVER_DEBUG": "false",  # with it a line is written for each request
    }
    command = str(Path(sys.executable).with_name("mlserver"))
    os.execv(command, [command, "start", str(folder)])


if __name__ == "__main__":
    main()
