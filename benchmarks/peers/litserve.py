"""LitServe: a worker process for each core, requests batched by count, as its guides have it."""

from collections.abc import Sequence
from itertools import islice

import litserve as ls
from pydantic import BaseModel

from benchmarks.peers.classifier import Given, Prediction, load


class Body(BaseModel):
    input: str | list[str]


class Api(ls.LitAPI):
    def setup(self, device: str) -> None:
        self.classify = load(Given.read())

    def decode_request(self, request: Body) -> list[str]:
        return [request.input] if isinstance(request.input, str) else request.input

    def batch(self, inputs: Sequence[list[str]]) -> tuple[list[str], list[int]]:
        return [text for texts in inputs for text in texts], [len(texts) for texts in inputs]

    def predict(self, batch: tuple[list[str], list[int]]) -> tuple[list[Prediction], list[int]]:
        texts, sizes = batch
        return self.classify(texts), sizes

    def unbatch(self, output: tuple[list[Prediction], list[int]]) -> list[list[Prediction]]:
        answers = iter(output[0])
        return [list(islice(answers, size)) for size in output[1]]

    def encode_response(self, output: list[Prediction]) -> list[Prediction]:
        return output


if __name__ == "__main__":
    asked = Given.read()
    api = Api(max_batch_size=asked.batch, api_path="/")
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=asked.workers)
    server.run(host="127.0.0.1", port=asked.port, log_level="warning", generate_client_file=False)
