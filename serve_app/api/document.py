"""`/openapi.json` and `/docs`: the document of all routes, these two among them."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api import guard
from serve_app.api.openapi import REQUEST_ID, SCHEMAS, header, problems, schemas_of
from serve_app.api.schemas import MAX_TEXTS, Error, Problem
from serve_app.api.shortcut import Shortcut
from serve_app.settings import Settings

ABOUT = """
One text classifier served two ways: PyTorch (`transformers`) and ONNX Runtime (`onnx`);
`auto` is both as one service.

Every answer has an `X-Request-Id`. Where the service allows browsers (CORS), the preflight
`OPTIONS` of a route is answered as well. What is no HTTP at all is refused by the proxy in front,
with a bare 400.
"""
SWAGGER_UI = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0"
SCRIPT = "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
STYLE = "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I"
"""Of that version's files (`openssl dgst -sha384 -binary FILE | base64`). People type their keys
into the page, and FastAPI's own would run whatever is the newest of a major version."""
START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true})'
PAGE = f"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sentiment service</title>
<link rel="stylesheet" href="{SWAGGER_UI}/swagger-ui.css" integrity="{STYLE}" crossorigin>
<div id="swagger-ui"></div>
<script src="{SWAGGER_UI}/swagger-ui-bundle.js" integrity="{SCRIPT}" crossorigin></script>
<script>{START}</script>
"""
POLICY = (
    f"script-src {SWAGGER_UI}/swagger-ui-bundle.js"
    f" 'sha256-{base64.b64encode(hashlib.sha256(START.encode()).digest()).decode()}';"
    " object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""No other script runs in it, and no other page holds it."""
PAGE_HEADERS = {"Content-Security-Policy": header("Which scripts the page may run.")}


class Api(FastAPI):
    """FastAPI with a document that also tells what the routes read by themselves."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            title="Sentiment service",
            summary="One text classifier served two ways: PyTorch and ONNX Runtime.",
            description=ABOUT,
            version="1",
            openapi_url=None,  # the routes are below, so that they are in the document too
            redirect_slashes=False,
        )
        self._settings = settings
        self.shortcut: Shortcut | None = None
        self.cors: Callable[[ASGIApp], ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hot routes by the shortcut, all else by FastAPI; HEAD is GET without the body."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _bodiless(send)
        if self.shortcut is not None and self.shortcut.takes(scope):
            await self.shortcut(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Starlette's, within CORS: a page may read the answer to a fault too."""
        stack = super().build_middleware_stack()
        return stack if self.cors is None else self.cors(stack)

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for model in (Problem, Error):
                schemas.update(schemas_of(model))
            for path in document["paths"].values():
                for operation in path.values():
                    schemas.update(operation.pop(SCHEMAS, {}))
            guard.describe(document, self._settings)
            for node in _nodes(document):
                if node.get("maxItems") == MAX_TEXTS:
                    node["maxItems"] = self._settings.texts_per_request
        assert self.openapi_schema is not None
        return self.openapi_schema


def _bodiless(send: Send) -> Send:
    async def without(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return without


def router(app: Api) -> APIRouter:
    """The routes of the document itself."""
    routes = APIRouter(tags=["documents"])

    @routes.get(
        "/openapi.json",
        summary="This document",
        response_model=dict[str, Any],
        responses={200: {"headers": REQUEST_ID}, **problems(405)},
    )
    async def document() -> Response:
        return JSONResponse(app.openapi())

    @routes.get(
        "/docs",
        summary="This document, to read and to try",
        response_class=HTMLResponse,
        responses={200: {"headers": {**REQUEST_ID, **PAGE_HEADERS}}, **problems(405)},
    )
    async def docs() -> Response:
        return HTMLResponse(PAGE, headers={"content-security-policy": POLICY})

    return routes


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _nodes(item)
