"""Errors as answers, in the two shapes that clients read."""

import orjson
from starlette.responses import Response

from serve_app.api import errors
from serve_app.api.errors import MEDIA_TYPE, ProblemError


def problem_response(error: ProblemError) -> Response:
    """Of the service's own routes."""
    body = orjson.dumps(errors.as_problem(error))
    return Response(body, error.kind.status, headers=error.headers, media_type=MEDIA_TYPE)


def error_response(error: ProblemError) -> Response:
    """Of the protocols."""
    body = orjson.dumps(errors.as_error(error))
    return Response(body, error.kind.status, headers=error.headers, media_type="application/json")
