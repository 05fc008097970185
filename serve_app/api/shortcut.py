"""The way of the hot routes past FastAPI's layers, which cost more than all else in the ingress.

FastAPI still has the routes, for the document and for whatever is no plain POST to them; both ways
call the same endpoint.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve_app.api.error_responses import problem_response
from serve_app.api.errors import INTERNAL, ProblemError

Endpoint = Callable[[Request], Awaitable[Response]]

logger = logging.getLogger("ray.serve")


class Shortcut:
    """Answers a POST to one of its paths.

    Args:
        endpoints: by path; their errors are told as problems.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints

    def takes(self, scope: Scope) -> bool:
        """Whether a request goes this way."""
        return (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and scope["path"] in self._endpoints
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._endpoints[scope["path"]](Request(scope, receive))
        except ProblemError as problem:
            response = problem_response(problem)
        except Exception:
            logger.exception("%s failed", scope["path"])
            response = problem_response(
                ProblemError(INTERNAL, "The service failed on this request.")
            )
        await response(scope, receive, send)
