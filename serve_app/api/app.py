"""The ASGI application of the ingress."""

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api import health, infer
from serve_app.api.errors import BY_STATUS, Kind, ProblemError
from serve_app.api.gateway import Gateway


def create_app(gateway: Gateway) -> FastAPI:
    """All routes over one gateway."""
    app = FastAPI(
        title="Sentiment service",
        summary="One text classifier served two ways: PyTorch and ONNX Runtime.",
        version="1",
        redoc_url=None,
    )
    app.include_router(infer.router(gateway))
    app.include_router(health.router(gateway))
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    return app


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405, in the shape of all other errors."""
    assert isinstance(error, HTTPException)
    kind = BY_STATUS.get(
        error.status_code, Kind(f"http-{error.status_code}", error.status_code, error.detail)
    )
    detail = f"{request.method} {request.url.path}: {error.detail}."
    return ProblemError(kind, detail, headers=error.headers).response()
