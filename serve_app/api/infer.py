"""`POST /{backend}/infer`: a text or a list of texts, the best label and score of each."""

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers import Asked, Rendered, respond
from serve_app.api.body import read_json
from serve_app.api.gateway import Gateway
from serve_app.api.openapi import INFER_HEADERS, body, problems
from serve_app.api.schemas import InferRequest, Prediction, texts_of
from serve_app.dispatcher import Answers
from serve_app.engine.postprocess import DEFAULT_FUNCTION, apply, rank


def router(gateway: Gateway) -> APIRouter:
    """The route of each backend."""
    routes = APIRouter()
    labels = gateway.manifest.labels
    function = DEFAULT_FUNCTION[gateway.manifest.problem_type]
    settings = gateway.settings

    async def read(request: Request) -> Asked:
        asked = await read_json(request, settings.max_body_bytes)
        return Asked(texts_of(asked, settings.max_texts), "input")

    def render(_: Asked, answers: Answers) -> Rendered:
        ranked = rank(apply(answers.logits, function), labels, top_k=1)
        return Rendered(orjson.dumps([best for (best,) in ranked]))

    def add(backend: str) -> None:
        async def endpoint(request: Request) -> Response:
            return await respond(gateway, backend, request, read, render)

        routes.add_api_route(
            f"/{backend}/infer",
            endpoint,
            methods=["POST"],
            name=f"infer_{backend}",
            operation_id=f"infer_{backend}",
            summary=f"Classify with {backend}",
            tags=["inference"],
            response_model=list[Prediction],
            response_description="One prediction a text, in order.",
            responses={
                200: {"headers": INFER_HEADERS},
                **problems(400, 405, 413, 415, 422, 500, 503, 504),
            },
            openapi_extra=body(InferRequest),
        )

    for backend in gateway.dispatchers:
        add(backend)
    return routes
