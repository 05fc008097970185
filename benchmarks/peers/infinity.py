"""infinity-emb by its own command: torch, or optimum (onnxruntime), on the CPU."""

import os
import shutil
import sys
from pathlib import Path

from benchmarks.peers.classifier import Given

SERVED_AS = "model"


def main() -> None:
    """Become infinity's server; its engines choose their threads themselves."""
    given = Given.read()
    folder = os.environ["BENCH_HUB_FOLDER"]  # laid out as on the hub, for optimum with a model.onnx
    os.environ["DO_NOT_TRACK"] = "1"
    # It keeps optimised graphs by the model's name, which is the same here for every precision.
    os.environ["HF_HOME"] = f"{folder}-cache"
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)
    # Of a folder elsewhere it hands optimum the graph's whole path, where a name is expected.
    os.chdir(folder)
    command = str(Path(sys.executable).with_name("infinity_emb"))
    os.execv(
        command,
        [
            *(command, "v2", "--model-id", ".", "--served-model-name", SERVED_AS),
            *("--engine", "optimum" if given.graph else "torch", "--device", "cpu"),
            # Its optimum classifier does not truncate, and would warm up with too long a text.
            *(["--no-model-warmup"] if given.graph else []),
            *("--batch-size", str(given.batch), "--log-level", "warning"),
            *("--host", "127.0.0.1", "--port", str(given.port)),
        ],
    )


if __name__ == "__main__":
    main()
