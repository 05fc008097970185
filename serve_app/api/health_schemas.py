"""Answers of the open routes and of `/info` and `/cluster`, for the document."""

from typing import Literal

from pydantic import BaseModel, Field

from serve_app.engine.artifacts import Measured, Precision, ProblemType


class Health(BaseModel):
    status: Literal["ok"]


class _States(BaseModel):
    backends: dict[str, Literal["ready", "unavailable"]]
    identity: dict[str, str] | None = Field(
        default=None, description="Each way to identify oneself, `ready` or what is wrong with it."
    )
    quota: str | None = Field(default=None, description="`ready`, or what is wrong.")


class Ready(_States):
    status: Literal["ready"]


class Unready(_States):
    status: Literal["unavailable"]
    detail: str = Field(description="Names what is missing.")


class Certificate(BaseModel):
    """How a replica's answers to the golden texts compare with those at preparation."""

    backend: str
    precision: Precision
    cpu: str
    threads: int
    texts: int
    max_difference: float = Field(description="Largest difference of a probability.")
    bound: float = Field(description="What it may be.")
    flips: int = Field(description="Texts with another label.")
    batch_drift: float = Field(description="Largest difference between alone and in a batch.")
    passed: bool
    seconds: float


class Replica(BaseModel):
    """A replica as it describes itself."""

    replica: str
    node: str
    precision: Precision
    workers: int
    threads: int
    cpus: float
    texts: int = Field(description="Texts in hand.")
    certificate: Certificate


class Model(BaseModel):
    id: str
    revision: str | None
    licence: str | None
    labels: list[str]
    problem_type: ProblemType
    max_length: int
    parameters: int


class Limits(BaseModel):
    max_texts: int
    max_body_bytes: int
    max_waiting_texts: int
    max_waiting_requests: int
    max_waiting_characters: int
    timeout_s: float
    quota: str | None


class Figures(BaseModel):
    """What preparation measured of each precision."""

    torch_accuracy: float | None
    auto_threshold: float | None
    fp32: Measured | None = None
    int8: Measured | None = None


class Info(BaseModel):
    model: Model
    limits: Limits
    versions: dict[str, str]
    prepared_with: dict[str, str]
    config_hash: str
    measured: Figures
    notes: list[str]
    backends: dict[str, Replica | None] = Field(description="Some replica of each; null: none.")


class ReplicaState(BaseModel):
    id: str
    node: str
    texts: int = Field(description="Texts in hand, of whatever ingress replica.")
    precision: Precision
    certificate: Certificate


class Deployment(BaseModel):
    deployment: str
    status: str
    target: int = Field(
        description="Replicas that are not stopping; while new ones replace old ones, both."
    )
    running: int
    waiting_texts: int = Field(
        description="Not yet answered, in the ingress replica that is asked."
    )
    ongoing_requests: int = Field(description="Requests that these texts are of.")
    replicas: list[ReplicaState]


class Cluster(BaseModel):
    at: str
    deployments: dict[str, Deployment]
