"""The servers that are compared, each with what its guide advises for a CPU of two cores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.graphs import Precision

Answer = tuple[str, float]

OURS = "ours"


@dataclass(frozen=True)
class Protocol:
    """How a server is asked: the route, the JSON of texts, and what its answer says."""

    path: str
    body: Callable[[Sequence[str]], Any]
    read: Callable[[Any], list[Answer]]


def _plain_body(texts: Sequence[str]) -> Any:
    return {"input": list(texts) if len(texts) > 1 else texts[0]}


def _plain(answer: Any) -> list[Answer]:
    return [(item["label"], item["score"]) for item in answer]


def _best(answer: Any) -> list[Answer]:
    ranked = [max(labels, key=lambda item: float(item["score"])) for labels in answer["data"]]
    return _plain(ranked)


def _tensors(answer: Any) -> list[Answer]:
    columns = {output["name"]: output["data"] for output in answer["outputs"]}
    return list(zip(columns["label"], columns["score"], strict=True))


def _tensor_body(texts: Sequence[str]) -> Any:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [len(texts), 1], "data": list(texts)}
    return {"inputs": [tensor]}


PLAIN = Protocol("/", _plain_body, _plain)
BENTO = Protocol("/classify", lambda texts: {"texts": list(texts)}, _plain)
INFINITY = Protocol("/classify", lambda texts: {"input": list(texts), "model": "model"}, _best)
OPEN_INFERENCE = Protocol("/v2/models/sentiment/infer", _tensor_body, _tensors)


@dataclass(frozen=True)
class Setup:
    """One server in one set-up.

    Attributes:
        key: the name on the command line.
        module: what is started, of `benchmarks`.
        venv: the environment of its own that it runs in; None for the project's.
        precisions: that it can serve.
        workers: model calls at a time; 0 for as many as its own pool allows.
        threads: of each call; 0 for its own choice, which is one a core.
        batch: most requests, or texts, of one call of the model.
        batching: in words, for the tables.
        paths: the route of each precision, where it is not the protocol's.
        ready: answers 200 when all of it has started, where that is after the first answer.
    """

    key: str
    title: str
    module: str
    precisions: tuple[Precision, ...]
    workers: int
    threads: int
    batch: int
    batching: str
    protocol: Protocol = PLAIN
    venv: str | None = None
    paths: tuple[tuple[Precision, str], ...] = ()
    ready: str | None = None

    def path(self, precision: Precision) -> str:
        return dict(self.paths).get(precision, self.protocol.path)


ALL: tuple[Precision, ...] = ("torch", "fp32", "int8", "dynamic")
ONNX: tuple[Precision, ...] = ("fp32", "int8", "dynamic")

SERVICE = Setup(
    OURS,
    "this service",
    "peers.ours",
    ("torch", "fp32", "int8"),
    workers=2,
    threads=1,
    batch=8,
    batching="≤ 8 texts of like length",
    paths=(
        ("torch", "/transformers/infer"),
        ("fp32", "/onnx/infer"),
        ("int8", "/onnx/infer"),
    ),
    ready="/ready",
)

STUB = Setup(
    "stub",
    "the stub",
    "stub_server",
    ("int8",),
    workers=1,
    threads=1,
    batch=1,
    batching="none",
    paths=(("int8", "/onnx/infer"),),
    ready="/ready",
)
"""This service with a stub for its models; nobody to compare with."""

SETUPS = (
    SERVICE,
    Setup(
        "pipeline",
        "FastAPI + pipeline",
        "peers.fastapi_pipeline",
        ("torch",),
        workers=1,
        threads=2,
        batch=1,
        batching="none",
    ),
    Setup(
        "fastapi",
        "FastAPI + onnxruntime",
        "peers.fastapi_onnx",
        ONNX,
        workers=0,
        threads=1,
        batch=1,
        batching="none; a list is one batch",
    ),
    Setup(
        "fastapi-two",
        "FastAPI, two at a time",
        "peers.fastapi_onnx",
        ALL,
        workers=2,
        threads=1,
        batch=1,
        batching="none; a list is one batch",
    ),
    Setup(
        "litserve",
        "LitServe",
        "peers.litserve",
        ALL,
        workers=2,
        threads=1,
        batch=8,
        batching="≤ 8 requests that wait",
        venv="litserve",
        ready="/health",
    ),
    Setup(
        "bentoml",
        "BentoML",
        "peers.bentoml",
        ALL,
        workers=2,
        threads=1,
        batch=32,
        batching="adaptive, ≤ 32 texts",
        protocol=BENTO,
        venv="bentoml",
        ready="/readyz",
    ),
    Setup(
        "infinity",
        "infinity-emb",
        "peers.infinity",
        ALL,
        workers=1,
        threads=2,
        batch=32,
        batching="≤ 32 texts, sorted by length",
        protocol=INFINITY,
        venv="infinity",
    ),
    Setup(
        "mlserver",
        "MLServer",
        "peers.mlserver",
        ALL,
        workers=2,
        threads=1,
        batch=1,
        batching="none; a list is one batch",
        protocol=OPEN_INFERENCE,
        venv="mlserver",
        ready="/v2/health/ready",
    ),
    Setup(
        "pytriton",
        "Triton (PyTriton)",
        "peers.pytriton",
        ALL,
        workers=2,
        threads=1,
        batch=32,
        batching="≤ 32 texts that wait",
        protocol=OPEN_INFERENCE,
        venv="pytriton",
        ready="/v2/health/ready",
    ),
)
