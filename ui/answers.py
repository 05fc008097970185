"""What the service answers, as types."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Backend = Literal["transformers", "onnx"]
BACKENDS: tuple[Backend, Backend] = ("transformers", "onnx")
NAMES: dict[Backend, str] = {"transformers": "PyTorch", "onnx": "ONNX Runtime"}

NETWORK = "network and client"
"""The part of a round trip that is not the service's."""

_PART = re.compile(r"\s*([\w-]+)(?:;[^,]*?dur=([\d.]+))?[^,]*")


@dataclass(frozen=True, slots=True)
class Score:
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Timing:
    """The parts of a request inside the service, in milliseconds."""

    queue: float = 0.0
    tokenize: float = 0.0
    inference: float = 0.0
    total: float | None = None

    @classmethod
    def parse(cls, header: str | None) -> "Timing | None":
        """Read a `Server-Timing` header; parts it does not name are taken as nothing."""
        parts: dict[str, float] = {}
        for item in (header or "").split(","):
            match = _PART.match(item)
            if match and match[2]:
                try:
                    parts[match[1]] = float(match[2])
                except ValueError:
                    continue
        if not parts.keys() & {"queue", "tokenize", "inference", "total"}:  # a proxy's alone
            return None
        return cls(
            queue=parts.get("queue", 0.0),
            tokenize=parts.get("tokenize", 0.0),
            inference=parts.get("inference", 0.0),
            total=parts.get("total"),
        )

    @property
    def server(self) -> float:
        """The whole time inside the service."""
        named = self.queue + self.tokenize + self.inference
        return named if self.total is None else self.total

    @property
    def other(self) -> float:
        """What the service spent outside the parts it names: routing, checks, the hop."""
        return max(0.0, self.server - self.queue - self.tokenize - self.inference)

    def parts(self, round_trip: float) -> dict[str, float]:
        """Split a round trip into what the service names, in milliseconds, and the rest."""
        return {
            "queue": self.queue,
            "tokenize": self.tokenize,
            "inference": self.inference,
            "other": self.other,
            NETWORK: max(0.0, round_trip - self.server),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """One text classified by one backend."""

    backend: Backend
    scores: tuple[Score, ...]
    """Best first; only the best where the service gives no more."""
    complete: bool
    """Whether every class of the model is in `scores`."""
    round_trip: float
    """Milliseconds from sending to having the answer."""
    timing: Timing | None = None
    batch_size: int | None = None
    truncated: int = 0

    @property
    def best(self) -> Score:
        return self.scores[0]

    @property
    def over_half(self) -> set[str]:
        """The labels of a model that gives several at once."""
        return {s.label for s in self.scores if s.score > 0.5}

    def score_of(self, label: str) -> float | None:
        return next((s.score for s in self.scores if s.label == label), None)

    @property
    def server(self) -> float | None:
        return self.timing.server if self.timing else None

    @property
    def network(self) -> float | None:
        """What the way there and back took: the round trip less the service's own time."""
        return self.timing.parts(self.round_trip)[NETWORK] if self.timing else None


class _Lenient(BaseModel):
    """A newer service may say more than this page knows; that is no error."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Certificate(_Lenient):
    """What a replica found when it replayed the golden set at start."""

    precision: str | None = None
    cpu: str | None = None
    max_difference: float | None = None
    """The largest difference of a probability from the one at preparation."""
    batch_drift: float | None = None
    """The largest difference between a text alone and among others."""
    flips: int | None = None
    passed: bool | None = None


class BackendInfo(_Lenient):
    """What a backend may use, and the arithmetic it does with it."""

    precision: str | None = None
    threads: int | None = None
    workers: int | None = None
    cpus: float | None = None

    def __str__(self) -> str:
        precision = self.precision or "precision unknown"
        if self.threads is None:
            return f"{precision}, threads unknown"
        return f"{precision}, {self.threads} thread{'' if self.threads == 1 else 's'}"


class ModelInfo(_Lenient):
    id: str = "unknown model"
    revision: str | None = None
    licence: str | None = None
    labels: tuple[str, ...] = ()
    problem_type: str | None = None
    max_length: int | None = None


class Limits(_Lenient):
    max_texts: int | None = None


class Info(_Lenient):
    model: ModelInfo = ModelInfo()
    limits: Limits = Limits()
    versions: dict[str, Any] = Field(default_factory=dict)
    config_hash: str | None = None
    backends: dict[str, BackendInfo | None] = Field(default_factory=dict)
    """Nothing stands for a backend of which no replica answers."""

    def backend(self, backend: Backend) -> BackendInfo:
        return self.backends.get(backend) or BackendInfo()


class Replica(_Lenient):
    id: str
    node: str | None = None
    texts: int = 0
    """In hand, whichever ingress they came from."""
    certificate: Certificate | None = None


class Deployment(_Lenient):
    target: int = 0
    running: int = 0
    waiting_texts: float = 0
    ongoing_requests: float = 0
    replicas: tuple[Replica, ...] = ()


class Cluster(_Lenient):
    deployments: dict[str, Deployment] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Readiness:
    ready: bool
    missing: tuple[str, ...] = ()
    """The backends that do not answer yet."""
    starting: bool = True
    """Where it is not ready: whether it may become so by itself, as far as it says."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One line of a stream's answer: a label with its score, or what was wrong with the row."""

    id: int
    label: str | None = None
    score: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The last line of a stream's answer."""

    truncated: int = 0
    """Texts that were longer than the model reads."""
    error: Exception | None = None
    """Why the stream ended before its last row."""
