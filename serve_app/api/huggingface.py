"""`POST /{backend}`: the Hugging Face Inference API, for its clients as they are.

Both huggingface_hub and huggingface.js take the first item of the answer, so that one text is
answered as a list of one text would be.
"""

from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers import Asked, Rendered, respond
from serve_app.api.body import read_json
from serve_app.api.errors import INVALID, ProblemError
from serve_app.api.gateway import Gateway
from serve_app.api.openapi import INFER_HEADERS, body, errors
from serve_app.api.schemas import (
    Prediction,
    Text,
    Texts,
    check_texts,
    function_of,
    object_of,
    whole,
)
from serve_app.engine.postprocess import DEFAULT_FUNCTION, Function, apply, rank
from serve_app.request import Answers


class HuggingFaceParameters(BaseModel):
    """How the answer is made; other parameters are ignored."""

    model_config = ConfigDict(extra="allow")

    top_k: PositiveInt | None = Field(
        default=None, description="How many of the best labels; all if absent."
    )
    function_to_apply: Function | None = Field(
        default=None, description="From logits to scores; the model's own if absent."
    )


class HuggingFaceRequest(BaseModel):
    """A text or a list of texts; fields that are not listed are ignored."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [{"inputs": "A lovely film.", "parameters": {"top_k": 1}}],
        },
    )

    inputs: Text | Texts = Field(description="A text, or a list of texts.")
    parameters: HuggingFaceParameters | None = None
    options: dict[str, Any] | None = Field(
        default=None, description="Accepted as it is sent by clients, and ignored."
    )


@dataclass(slots=True)
class _Asked(Asked):
    top_k: int | None
    function: Function


def owns(gateway: Gateway, path: str) -> bool:
    """Whether errors at a path have the shape of this protocol."""
    return path.strip("/") in gateway.dispatchers


def router(gateway: Gateway) -> APIRouter:
    """The route of each backend."""
    routes = APIRouter()
    labels = gateway.manifest.labels
    settings = gateway.settings

    async def read(request: Request) -> _Asked:
        asked = await read_json(request, settings.max_body_bytes, gateway.bodies)
        if not isinstance(asked, dict) or "inputs" not in asked:
            raise ProblemError(
                INVALID, "The body must be a JSON object with the field `inputs`.", field="inputs"
            )
        object_of(asked, "options")
        parameters = object_of(asked, "parameters")
        return _Asked(
            check_texts(asked["inputs"], settings.max_texts, field="inputs"),
            "inputs",
            _top_k(parameters, len(labels)),
            function_of(parameters, DEFAULT_FUNCTION[gateway.manifest.problem_type]),
        )

    def render(asked: _Asked, answers: Answers) -> Rendered:
        scores = apply(answers.logits, asked.function)
        return Rendered(orjson.dumps(rank(scores, labels, asked.top_k)))

    def add(backend: str) -> None:
        async def endpoint(request: Request) -> Response:
            return await respond(gateway, backend, "huggingface", request, read, render)

        routes.add_api_route(
            f"/{backend}",
            endpoint,
            methods=["POST"],
            name=f"huggingface_{backend}",
            operation_id=f"huggingface_{backend}",
            summary=f"Classify with {backend}, as the Hugging Face Inference API does",
            tags=["hugging face"],
            response_model=list[list[Prediction]],
            response_description="For each text its labels, by falling score.",
            responses={
                200: {"headers": INFER_HEADERS},
                **errors(400, 405, 413, 415, 422, 500, 503, 504),
            },
            openapi_extra=body(HuggingFaceRequest),
        )

    for backend in gateway.dispatchers:
        add(backend)
    return routes


def _top_k(parameters: dict[str, Any], classes: int) -> int | None:
    value = parameters.get("top_k")
    if value is None:
        return None
    top_k = whole(value)
    if top_k is None or top_k < 1:
        field = "parameters.top_k"
        raise ProblemError(INVALID, f"`{field}` must be a whole number from 1.", field=field)
    return min(top_k, classes)
