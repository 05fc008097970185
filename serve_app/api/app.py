"""The ASGI application of the ingress."""

import functools

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api import cluster, document, health, huggingface, infer, open_inference, stream
from serve_app.api.error_responses import error_response, problem_response
from serve_app.api.errors import (
    INTERNAL,
    METHOD,
    NOT_FOUND,
    ProblemError,
)
from serve_app.api.gateway import Gateway
from serve_app.api.shortcut import Shortcut

CORS_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Inference-Header-Content-Length",
    "User-Agent",  # `@huggingface/inference` sets it, and Firefox lets it
    "X-Request-Id",
    "baggage",
    "traceparent",
    "tracestate",
)
CORS_ANSWER_HEADERS = (
    "Accept-Encoding",
    "Allow",
    "Inference-Header-Content-Length",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Server-Timing",
    "WWW-Authenticate",
    "X-Backend",
    "X-Batch-Size",
    "X-Model",
    "X-Request-Id",
    "X-Truncated",
)


def create_app(gateway: Gateway) -> FastAPI:
    """All routes over one gateway."""
    app = document.Api(gateway.settings)
    hot = infer.endpoints(gateway)
    app.include_router(infer.router(hot))
    app.include_router(stream.router(gateway))
    app.include_router(huggingface.router(gateway))
    app.include_router(open_inference.router(gateway))
    app.include_router(health.router(gateway))
    app.include_router(cluster.router(gateway))
    app.include_router(document.router(app))
    _handle_errors(app, gateway)
    if gateway.settings.cors_origins:
        app.cors = functools.partial(
            CORSMiddleware,
            allow_origins=gateway.settings.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=CORS_REQUEST_HEADERS,
            expose_headers=CORS_ANSWER_HEADERS,
        )
    else:
        app.shortcut = Shortcut(hot)
    return app


def _handle_errors(app: FastAPI, gateway: Gateway) -> None:
    """Every error in the shape that the clients of its path read, whoever raises it."""

    def render(request: Request, error: ProblemError) -> Response:
        path = request.scope["path"]
        plain = huggingface.owns(gateway, path) or open_inference.owns(path)
        return (error_response if plain else problem_response)(error)

    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return render(request, error)

    async def http_error(request: Request, error: Exception) -> Response:
        """Starlette's own."""
        assert isinstance(error, HTTPException)
        kind = {404: NOT_FOUND, 405: METHOD}[error.status_code]
        detail = f"{request.method} {request.scope['path']}: {error.detail}."
        return render(request, ProblemError(kind, detail, headers=error.headers))

    async def internal(request: Request, _: Exception) -> Response:
        """What nobody expected; Starlette raises it again for the log."""
        return render(request, ProblemError(INTERNAL, "The service failed on this request."))

    app.add_exception_handler(ProblemError, problem)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, internal)
