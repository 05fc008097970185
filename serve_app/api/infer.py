"""`POST /{backend}/infer`: a text or a list of texts, the best label and score of each."""

import time

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers import answer, headers
from serve_app.api.body import read_json
from serve_app.api.errors import MODEL_FAILED, ProblemError
from serve_app.api.gateway import Gateway
from serve_app.api.openapi import INFER_HEADERS, body, problems
from serve_app.api.schemas import InferRequest, Prediction, texts_of
from serve_app.engine.postprocess import DEFAULT_FUNCTION, apply


def router(gateway: Gateway) -> APIRouter:
    """The route of each backend."""
    routes = APIRouter()
    labels = gateway.manifest.labels
    function = DEFAULT_FUNCTION[gateway.manifest.problem_type]
    settings = gateway.settings

    async def infer(backend: str, request: Request) -> Response:
        start = time.perf_counter()
        texts = texts_of(await read_json(request, settings.max_body_bytes), settings.max_texts)
        answers = await answer(gateway, backend, texts)
        if answers.errors:
            index, message = next(iter(answers.errors.items()))
            raise ProblemError(MODEL_FAILED, f"{message}.", field=f"input[{index}]")
        scores = apply(answers.logits, function)
        best = scores.argmax(axis=1).tolist()
        predictions = [
            {"label": labels[label], "score": row[label]}
            for label, row in zip(best, scores.tolist(), strict=True)
        ]
        return Response(
            orjson.dumps(predictions),
            headers=headers(gateway, answers, start),
            media_type="application/json",
        )

    def add(backend: str) -> None:
        async def endpoint(request: Request) -> Response:
            return await infer(backend, request)

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
