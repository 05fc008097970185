"""Pieces of the OpenAPI document that FastAPI cannot derive from routes that read raw bodies."""

from typing import Any

from pydantic import BaseModel

from serve_app.api.errors import BY_STATUS, MEDIA_TYPE
from serve_app.api.schemas import Problem


def _header(description: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind, **schema}}


INFER_HEADERS = {
    "Server-Timing": _header(
        "`queue`, `tokenize`, `inference`, `total`, each with its duration in milliseconds."
    ),
    "X-Backend": _header("Who answered."),
    "X-Batch-Size": _header("Texts in the batch that was answered last.", "integer", minimum=1),
    "X-Model": _header("The model's id."),
    "X-Truncated": _header("Texts cut at the model's maximum length.", "integer", minimum=1),
    "X-Request-Id": _header("The request's id, echoed or made."),
}


def body(model: type[BaseModel]) -> dict[str, Any]:
    """A required JSON body that is described by `model` and read by the route itself."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": BY_STATUS[status].title,
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
    if status == 503:
        response["headers"] = {
            "Retry-After": _header("Seconds until there should be room.", "integer", minimum=1)
        }
    return response
