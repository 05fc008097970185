"""BentoML: a worker process for each core, its adaptive batching on."""

import sys

import bentoml

from benchmarks.peers.classifier import Given, Prediction, load

GIVEN = Given.read()


@bentoml.service(
    workers=GIVEN.workers,
    traffic={"timeout": 60},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},  # nobody else writes a line for each request
)
class Sentiment:
    def __init__(self) -> None:
        self.classify = load(GIVEN)

    @bentoml.api(route="/classify", batchable=True, max_batch_size=GIVEN.batch)
    def infer(self, texts: list[str]) -> list[Prediction]:
        return self.classify(texts)


if __name__ == "__main__":
    import os

    os.execv(  # its command is the way to start it
        sys.executable,
        [
            *(sys.executable, "-m", "bentoml", "serve", "benchmarks.peers.bentoml:Sentiment"),
            *("--host", "127.0.0.1", "--port", str(GIVEN.port)),
        ],
    )
