"""What can go wrong between the page and the service, each as a sentence and what to do."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from requests import Response

LONGEST_WAIT_S = 86_400.0
"""No wait that a service asks for is longer: `inf` is a number too, and none to wait for."""


class ServiceError(Exception):
    """An answer that is no answer: `sentence` says what happened, `remedy` what to do."""

    sentence: str = "The service gave an answer the page does not understand."
    remedy: str = "Look at the service's log; its request id is below where one was given."
    passing: ClassVar[bool] = False
    """Whether waiting alone may mend it."""

    def __init__(
        self,
        sentence: str | None = None,
        remedy: str | None = None,
        *,
        status: int | None = None,
        detail: str | None = None,
        field: str | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        self.sentence = sentence or self.sentence
        self.remedy = remedy or self.remedy
        self.status = status
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        self.request_id = request_id
        super().__init__(self.sentence)


class UnreachableError(ServiceError):
    sentence = "The service does not answer."
    remedy = "Start it, or set SENTIMENT_UI_API_URL to where it runs."
    passing = True


class StartingError(ServiceError):
    sentence = "The service is starting."
    remedy = "Models take some seconds to load."
    passing = True


class TimedOutError(ServiceError):
    sentence = "The answer took too long."
    remedy = "Try again; where it happens often, the service needs more replicas."


class UnauthorizedError(ServiceError):
    sentence = "The service does not know this page: its API key is missing or wrong."
    remedy = "Whoever runs the page sets SENTIMENT_UI_API_KEY to a valid key and restarts it."


class ForbiddenError(ServiceError):
    sentence = "This page's API key is not allowed to do that."
    remedy = "Whoever runs the service gives the key the scope it lacks."


class NotThereError(ServiceError):
    sentence = "The service does not have this route."
    remedy = "Check SENTIMENT_UI_API_URL, or bring the service to a version that has it."


class TooLargeError(ServiceError):
    sentence = "That is more than the service takes in one request."
    remedy = "Shorten the text, or send it in parts."


class InvalidError(ServiceError):
    sentence = "The service cannot take this input."
    remedy = "Change it and ask again."


class OverQuotaError(ServiceError):
    sentence = "The page has used up its quota for the moment."
    remedy = "Wait a moment, then ask again; a countdown says how long where it is known."
    passing = True


class OverloadedError(ServiceError):
    sentence = "The service is busy and took no more work."
    remedy = "Wait a moment, then ask again."
    passing = True


BY_STATUS: dict[int, type[ServiceError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotThereError,
    405: NotThereError,
    408: TimedOutError,
    413: TooLargeError,
    415: InvalidError,
    422: InvalidError,
    429: OverQuotaError,
    502: OverloadedError,
    503: OverloadedError,
    504: TimedOutError,
}


def from_response(response: Response) -> ServiceError:
    """Make of a refusal, whichever of the service's error shapes it has, the matching error."""
    kind = BY_STATUS.get(response.status_code, ServiceError)
    detail, field = _told(response)
    return kind(
        status=response.status_code,
        detail=detail,
        field=field,
        retry_after=retry_after(response.headers.get("Retry-After")),
        request_id=response.headers.get("X-Request-Id"),
    )


def from_problem(problem: Mapping[str, Any]) -> ServiceError:
    """Make of a problem that the service puts at the end of a stream the matching error."""
    status = problem["status"]
    return BY_STATUS.get(status, ServiceError)(
        status=status, detail=problem.get("detail"), retry_after=problem.get("retry_after")
    )


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Read `Retry-After`, which is a number of seconds or a date."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            until = parsedate_to_datetime(header)
        except ValueError:
            return None
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return min(max(0.0, seconds), LONGEST_WAIT_S)


def _told(response: Response) -> tuple[str | None, str | None]:
    """Find the sentence and the field in problem+json, or in the protocols' `error`."""
    try:
        body = response.json()
    except ValueError:
        return None, None
    if not isinstance(body, dict):
        return None, None
    said = body.get("detail") or body.get("error") or body.get("title")
    field = body.get("field")
    return (
        said if isinstance(said, str) else None,
        field if isinstance(field, str) else None,
    )
