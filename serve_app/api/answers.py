"""The one way of an inference request: identity, quota, model, metrics, headers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from serve_app.api import shedding
from serve_app.api.client import Client
from serve_app.api.errors import (
    MODEL_FAILED,
    OVERLOADED,
    QUOTA,
    TIMED_OUT,
    Kind,
    ProblemError,
    kind_of,
    not_ready,
)
from serve_app.api.gateway import Gateway
from serve_app.api.limits import Verdict
from serve_app.dispatcher import BackendError, OverloadedError
from serve_app.request import REQUEST_ID, Answers
from serve_app.telemetry import INFERENCE, QUEUE, REFUSED, REQUESTS, TEXTS, TOKENIZE, TRUNCATED

logger = logging.getLogger("ray.serve")

ANSWERED = Kind("answered", 200, "Answered")
HUNG_UP = Kind("hung-up", 499, "Its client hung up")
"""For the metrics: how a request ends without an error of ours."""


@dataclass(slots=True)
class Asked:
    """A request that was found valid; protocols add what else theirs may ask for.

    Attributes:
        field: where in the body the texts were, for errors about one of them.
    """

    texts: list[str]
    field: str


class Rendered(NamedTuple):
    """The body of an answer, and what its protocol adds to the headers."""

    content: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = {}


A = TypeVar("A", bound=Asked)


async def respond(
    gateway: Gateway,
    backend: str,
    route: str,
    request: Request,
    read: Callable[[Request], Awaitable[A]],
    render: Callable[[A, Answers], Rendered],
) -> Response:
    """The one way of every inference request; protocols differ in how they read and render.

    Args:
        route: the protocol's name in the metrics.

    Raises:
        ProblemError: 401, 403, 4xx as `read` finds, 429, 500 the model failed on a text, 503, 504.
    """
    start = time.perf_counter()
    kind = "unknown"
    REQUEST_ID.set(request.headers.get("x-request-id", ""))
    if refused := shedding.shed(request.headers):
        count(gateway, route, backend, OVERLOADED, kind, refused)
    try:
        client = await gateway.identity.authenticate(request, scope="infer")
        kind = client.kind
        # At overload most are refused: they should cost neither a parsed body nor the quota.
        _require_room(gateway, backend)
        # A quota that is counted slowly must not let more in than the place that counts them.
        with gateway.arriving.one(client):
            asked = await read(request)
            within = gateway.settings.timeout_s
            drawn = await gateway.quota.draw(client, len(asked.texts), within)
        answers = await answer(gateway, backend, asked, client, drawn)
        rendered = render(asked, answers)
    except asyncio.CancelledError:
        count(gateway, route, backend, HUNG_UP, kind)
        raise
    except Exception as error:
        count(gateway, route, backend, kind_of(error), kind)
        if isinstance(error, ProblemError):
            error.headers = {**error.headers, **_room(gateway, backend)}
        raise
    count(gateway, route, backend, ANSWERED, kind)
    observe(gateway, backend, answers)
    gateway.shadow.follow(asked.texts, answers)
    said = {**headers(gateway, answers, start), **drawn.headers, **rendered.headers}
    return Response(
        rendered.content,
        headers={**said, **_room(gateway, backend)},
        media_type=rendered.media_type,
    )


def count(
    gateway: Gateway, route: str, backend: str, ended: Kind, client: str, requests: int = 1
) -> None:
    """Count a request, or several, by how they ended."""
    note = gateway.telemetry.note
    how = {"status": str(ended.status), "kind": ended.name}
    note(REQUESTS, requests, route=route, backend=backend, **how, client=client)
    if ended is QUOTA:
        note(REFUSED, client=client)


def observe(gateway: Gateway, backend: str, answers: Answers, *, queued: bool = True) -> None:
    """Count the texts that were answered, and note how long it took.

    Args:
        queued: whether anybody waited for just these; a stream always keeps some in the queue.
    """
    note = gateway.telemetry.note
    note(TEXTS, len(answers.logits) - len(answers.errors), backend=backend)
    if queued:
        note(QUEUE, answers.queue, backend=backend)
    note(TOKENIZE, answers.tokenize, backend=backend)
    note(INFERENCE, answers.inference, backend=backend)
    if answers.truncated:
        note(TRUNCATED, answers.truncated, backend=backend)


async def answer(
    gateway: Gateway, backend: str, asked: Asked, client: Client, drawn: Verdict
) -> Answers:
    """Have texts answered that were drawn from the client's quota.

    Raises:
        ProblemError: 500 the model failed on one, 503 overloaded or not ready, 504 timed out; the
            quota has them back then.
    """
    try:
        answers = await infer(gateway, backend, asked.texts)
        if answers.errors:
            index, message = min(answers.errors.items())
            raise ProblemError(MODEL_FAILED, f"{message}.", field=f"{asked.field}[{index}]")
        return answers
    except Exception:  # who hangs up pays: what was worked on by then is not known
        await gateway.quota.give_back(client, len(asked.texts), drawn)
        raise


async def infer(gateway: Gateway, backend: str, texts: list[str]) -> Answers:
    """Have texts answered by a backend.

    Raises:
        ProblemError: 503 overloaded or not ready, 504 timed out.
    """
    gateway.shadow.give_way(len(texts))
    try:
        return await gateway.dispatchers[backend].infer(texts, gateway.settings.timeout_s)
    except OverloadedError as error:
        raise shedding.overloaded(backend, error.retry_after) from None
    except BackendError as error:
        logger.warning("request %s: %s could not answer: %s", REQUEST_ID.get(), backend, error)
        raise not_ready(f"No replica of {backend} could answer: {error}.") from error
    except TimeoutError:
        late = f"{backend} did not answer within {gateway.settings.timeout_s:g} s"
        logger.warning("request %s: %s", REQUEST_ID.get(), late)
        raise ProblemError(TIMED_OUT, f"{late}.") from None


def _require_room(gateway: Gateway, backend: str) -> None:
    try:
        gateway.dispatchers[backend].require_room(1, gateway.settings.timeout_s)
    except OverloadedError as error:
        raise shedding.overloaded(backend, error.retry_after) from None


def _room(gateway: Gateway, backend: str) -> dict[str, str]:
    """The header that tells HAProxy of the room there is."""
    return shedding.told(gateway.dispatchers[backend], gateway.settings.timeout_s)


def headers(gateway: Gateway, answers: Answers, start: float) -> dict[str, str]:
    """The headers of the contract.

    Args:
        start: `time.perf_counter()` when the request arrived.
    """
    total = (time.perf_counter() - start) * 1000
    result = {
        "server-timing": f"queue;dur={answers.queue:.2f}, tokenize;dur={answers.tokenize:.2f},"
        f" inference;dur={answers.inference:.2f}, total;dur={total:.2f}",
        "x-backend": answers.backend,
        "x-batch-size": str(answers.batch_size),
        "x-model": gateway.model,
    }
    if answers.truncated:
        result["x-truncated"] = str(answers.truncated)
    return result
