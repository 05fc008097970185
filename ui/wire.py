"""From the bytes of an answer to its type; what does not fit is a `ServiceError`."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import requests
from pydantic import BaseModel, ValidationError

from ui.answers import Answer, Backend, Score, Scored, Summary, Timing
from ui.errors import ServiceError, from_problem

M = TypeVar("M", bound=BaseModel)


def body(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise ServiceError(
            remedy="Look at the service's log, or SENTIMENT_UI_API_URL is another server's.",
            status=response.status_code,
        ) from error


def model(kind: type[M], response: requests.Response) -> M:
    try:
        return kind.model_validate(body(response))
    except ValidationError as error:
        raise ServiceError(status=response.status_code) from error


def answer(
    backend: Backend,
    rows: Any,
    headers: Mapping[str, str],
    round_trip: float,
    *,
    complete: bool,
) -> Answer:
    try:
        scores = tuple(Score(str(row["label"]), float(row["score"])) for row in rows)
        scores = tuple(sorted(scores, key=lambda s: -s.score))
    except (TypeError, KeyError, ValueError) as error:
        raise ServiceError(request_id=headers.get("X-Request-Id")) from error
    if not scores:
        raise ServiceError(request_id=headers.get("X-Request-Id"))
    return Answer(
        backend=backend,
        scores=scores,
        complete=complete,
        round_trip=round_trip,
        timing=Timing.parse(headers.get("Server-Timing")),
        batch_size=_number(headers.get("X-Batch-Size")),
        truncated=_number(headers.get("X-Truncated")) or 0,
    )


def _number(header: str | None) -> int | None:
    return int(header) if header and header.isdecimal() else None


def scored(line: bytes) -> Scored | Summary:
    """Read a line of a stream; the last one is the summary.

    Raises:
        ServiceError: the line is none of a stream.
    """
    try:
        row = json.loads(line)
        if "summary" in row:
            error = from_problem(row["error"]) if "error" in row else None
            return Summary(int(row["summary"].get("truncated", 0)), error)
        if "error" in row:
            return Scored(int(row["id"]), error=str(row["error"]))
        return Scored(int(row["id"]), label=str(row["label"]), score=float(row["score"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ServiceError("The service sent a line the page does not understand.") from error
