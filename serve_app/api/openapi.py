"""Pieces of the OpenAPI document that FastAPI cannot derive from routes that read raw bodies."""

from typing import Any

from pydantic import BaseModel

from serve_app.api.errors import KINDS, MEDIA_TYPE
from serve_app.api.schemas import Error, Problem

SCHEMAS = "x-schemas"
"""Where an operation keeps the schemas it refers to, until `document` moves them."""

NEEDS = "x-needs-scope"
"""Where an operation keeps the scope it needs, until `guard` says what follows from it."""

Responses = dict[int | str, dict[str, Any]]


def header(description: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    """A header that is always sent; `optional` makes one that is not."""
    return {"description": description, "required": True, "schema": {"type": kind, **schema}}


def optional(header: dict[str, Any]) -> dict[str, Any]:
    """The same header, sent only where its description says so."""
    return {**header, "required": False}


REQUEST_ID = {"X-Request-Id": header("The request's id, echoed or made.")}
INFER_HEADERS = {
    "Server-Timing": header(
        "`queue`, `tokenize`, `inference`, `total`, each with its duration in milliseconds."
    ),
    "X-Backend": header(
        "Who answered; for a list answered by both, `onnx;n=30, transformers;n=2`."
    ),
    "X-Batch-Size": header("Texts in the batch that was answered last.", "integer", minimum=1),
    "X-Model": header("The model's id."),
    "X-Truncated": optional(
        header("Texts cut at the model's maximum length.", "integer", minimum=1)
    ),
    **REQUEST_ID,
}
STREAM_HEADERS = {name: INFER_HEADERS[name] for name in ("X-Backend", "X-Model", "X-Request-Id")}
ERROR_HEADERS = {
    405: {"Allow": header("The methods that the route takes.")},
    415: {"Accept-Encoding": optional(header("Where the body came compressed: `identity`."))},
    503: {"Retry-After": header("Seconds until there should be room.", "integer", minimum=1)},
}


def stream_body(*media_types: str) -> dict[str, Any]:
    """A required body that the route reads row by row; whatever it is, faults are told in rows."""
    content = {media: {"schema": {"contentMediaType": media}} for media in media_types}
    return {"requestBody": {"required": True, "content": content}, NEEDS: "stream"}


def query(**parameters: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Optional parameters that the route reads itself: name to description and schema."""
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": description,
                "schema": schema,
            }
            for name, (description, schema) in parameters.items()
        ]
    }


def body(model: type[BaseModel]) -> dict[str, Any]:
    """A required JSON body that is described by `model` and read by the route itself."""
    content = {"application/json": {"schema": reference(model)}}
    return {
        "requestBody": {"required": True, "content": content},
        SCHEMAS: schemas_of(model),
        NEEDS: "infer",
    }


def problems(*statuses: int) -> Responses:
    """The problems that a route may answer with."""
    return _errors(statuses, MEDIA_TYPE, Problem)


def errors(*statuses: int) -> Responses:
    """The same as `{"error": "…"}`."""
    return _errors(statuses, "application/json", Error)


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Where the document has the model's schema."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def schemas_of(model: type[BaseModel]) -> dict[str, Any]:
    """The model's schema and those it refers to, by name."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _errors(statuses: tuple[int, ...], media: str, model: type[BaseModel]) -> Responses:
    return {
        status: {
            "description": " / ".join(kind.title for kind in KINDS if kind.status == status) + ".",
            "headers": {**ERROR_HEADERS.get(status, {}), **REQUEST_ID},
            "content": {media: {"schema": reference(model)}},
        }
        for status in statuses
    }
