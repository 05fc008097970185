"""What an answer says besides its labels: the headers that every inference route sends."""

import time

from serve_app.api.errors import (
    NOT_READY,
    OVERLOADED,
    TIMED_OUT,
    ProblemError,
)
from serve_app.api.gateway import Gateway
from serve_app.dispatcher import Answers, BackendError, OverloadedError

NOT_READY_RETRY_S = 5


async def answer(gateway: Gateway, backend: str, texts: list[str]) -> Answers:
    """Have the texts answered by a backend.

    Raises:
        ProblemError: 503 overloaded or not ready, 504 timed out.
    """
    try:
        return await gateway.dispatchers[backend].infer(texts, gateway.settings.timeout_s)
    except OverloadedError as error:
        raise ProblemError(
            OVERLOADED,
            f"Too many texts wait for {backend}; try again in {error.retry_after} s.",
            headers={"Retry-After": str(error.retry_after)},
        ) from None
    except BackendError as error:
        raise ProblemError(
            NOT_READY,
            f"No replica of {backend} could answer: {error}.",
            headers={"Retry-After": str(NOT_READY_RETRY_S)},
        ) from error
    except TimeoutError:
        raise ProblemError(
            TIMED_OUT,
            f"{backend} did not answer within {gateway.settings.timeout_s:g} s.",
        ) from None


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
        "x-model": gateway.manifest.model_id,
    }
    if answers.truncated:
        result["x-truncated"] = str(answers.truncated)
    return result
