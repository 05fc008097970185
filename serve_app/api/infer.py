"""`POST /{backend}/infer`: a text or a list of texts, the best label and score of each."""

from collections.abc import Mapping

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers import Asked, Rendered, respond
from serve_app.api.body import read_json
from serve_app.api.gateway import Gateway
from serve_app.api.openapi import INFER_HEADERS, body, problems
from serve_app.api.schemas import InferRequest, Prediction, texts_of
from serve_app.api.shortcut import Endpoint
from serve_app.engine.postprocess import DEFAULT_FUNCTION, apply, rank
from serve_app.request import Answers


def endpoints(gateway: Gateway) -> dict[str, Endpoint]:
    """What answers the route of each backend, by path."""
    labels = gateway.manifest.labels
    function = DEFAULT_FUNCTION[gateway.manifest.problem_type]
    settings = gateway.settings

    async def read(request: Request) -> Asked:
        asked = await read_json(request, settings.max_body_bytes, gateway.bodies)
        return Asked(texts_of(asked, settings.max_texts), "input")

    def render(_: Asked, answers: Answers) -> Rendered:
        ranked = rank(apply(answers.logits, function), labels, top_k=1)
        return Rendered(orjson.dumps([best for (best,) in ranked]))

    def endpoint(backend: str) -> Endpoint:
        async def infer(request: Request) -> Response:
            return await respond(gateway, backend, "infer", request, read, render)

        return infer

    return {f"/{backend}/infer": endpoint(backend) for backend in gateway.dispatchers}


def router(by_path: Mapping[str, Endpoint]) -> APIRouter:
    """The routes, as FastAPI knows and documents them."""
    routes = APIRouter()
    for path, endpoint in by_path.items():
        backend = path.split("/")[1]
        routes.add_api_route(
            path,
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
    return routes
