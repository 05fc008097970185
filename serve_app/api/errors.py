"""Errors as RFC 9457 problems: each kind once, with its status and title."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of error: what a client may match on."""

    name: str
    status: int
    title: str

    @property
    def uri(self) -> str:
        return f"urn:sentiment:problem:{self.name}"


NOT_JSON = Kind("not-json", 400, "The body is not JSON")
UNAUTHORIZED = Kind("unauthorized", 401, "The request has no credential that is valid")
FORBIDDEN = Kind("forbidden", 403, "The credential does not permit this")
NOT_FOUND = Kind("not-found", 404, "There is no such route")
METHOD = Kind("method-not-allowed", 405, "The route does not take this method")
TOO_LARGE = Kind("body-too-large", 413, "The body is too large")
MEDIA = Kind("unsupported-media-type", 415, "The body has a type that the route does not take")
INVALID = Kind("invalid", 422, "The request is not valid")
QUOTA = Kind("quota-exceeded", 429, "The client's quota is used up")
OVERLOADED = Kind("overloaded", 503, "The service is at its limit")
NOT_READY = Kind("not-ready", 503, "The model cannot answer now")
IDENTITY_AWAY = Kind("identity-unavailable", 503, "The credential cannot be checked now")
QUOTA_AWAY = Kind("quota-unavailable", 503, "The quota cannot be counted now")
TIMED_OUT = Kind("timed-out", 504, "The model did not answer in time")
MODEL_FAILED = Kind("model-failed", 500, "The model failed on this text")
INTERNAL = Kind("internal", 500, "The service failed")

KINDS = (
    NOT_JSON, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, METHOD, TOO_LARGE, MEDIA, INVALID, QUOTA,
    OVERLOADED, NOT_READY, IDENTITY_AWAY, QUOTA_AWAY, TIMED_OUT, MODEL_FAILED, INTERNAL,
)  # fmt: skip
NOT_READY_RETRY_S = 5


class ProblemError(Exception):
    """Ends a request with a problem.

    Args:
        kind: which.
        detail: a sentence for the person who reads it.
        field: the field of the body that is wrong, such as `input[3]`.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})


def not_ready(detail: str) -> ProblemError:
    """What cannot be answered now, and is worth asking for again."""
    return ProblemError(NOT_READY, detail, headers={"Retry-After": str(NOT_READY_RETRY_S)})


def kind_of(error: Exception) -> Kind:
    """What a request ends with for this."""
    return error.kind if isinstance(error, ProblemError) else INTERNAL


def as_problem(error: ProblemError) -> dict[str, Any]:
    """RFC 9457, the shape of the service's own routes."""
    body: dict[str, Any] = {
        "type": error.kind.uri,
        "title": error.kind.title,
        "status": error.kind.status,
        "detail": error.detail,
    }
    if error.field is not None:
        body["field"] = error.field
    return body


def as_error(error: ProblemError) -> dict[str, Any]:
    """`{"error": "…"}`, which clients of Hugging Face and of the Open Inference Protocol read."""
    return {"error": error.detail}
