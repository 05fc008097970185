"""The page's client of the service's API: typed answers, or a typed error."""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import ChunkedEncodingError, ContentDecodingError, ReadTimeout, SSLError
from urllib3.exceptions import ProtocolError

from ui import wire
from ui.answers import Answer, Backend, Cluster, Info, Readiness, Scored, Summary
from ui.errors import (
    NotThereError,
    ServiceError,
    StartingError,
    TimedOutError,
    UnreachableError,
    from_response,
)
from ui.lines import BROKE_OFF, lines
from ui.settings import Settings

_NDJSON = "application/x-ndjson"
_QUICK_S = 10.0
"""Longest wait for what the service says of itself: pages stand still meanwhile."""
_LOOK_AGAIN_S = 60.0
"""After so long the page tries again a route that was not there."""


class _Bearer(AuthBase):
    """An explicit credential, so that no `.netrc` of the page's user takes its place."""

    def __init__(self, key: str | None) -> None:
        self.key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.key:
            request.headers["Authorization"] = f"Bearer {self.key}"
        return request


class Client:
    """Keeps its connections open and may be used by several threads at once."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.api_url
        self._timeout = (settings.connect_timeout_s, settings.timeout_s)
        self._quick = (settings.connect_timeout_s, min(settings.timeout_s, _QUICK_S))
        self._best_only_until = 0.0
        self._session = requests.Session()
        # Neither the proxies nor the `.netrc` of whoever runs the page are meant for the service.
        self._session.trust_env = False
        self._session.auth = _Bearer(
            settings.api_key.get_secret_value() if settings.api_key else None
        )
        if settings.ca_file:
            self._session.verify = str(settings.ca_file)
        pool = HTTPAdapter(pool_connections=1, pool_maxsize=2 * settings.max_concurrency)
        self._session.mount("http://", pool)
        self._session.mount("https://", pool)

    def close(self) -> None:
        self._session.close()

    def infer(self, backend: Backend, text: str) -> Answer:
        """Classify one text: its best label."""
        response, round_trip = self._call("POST", f"/{backend}/infer", json={"input": text})
        return wire.answer(
            backend, wire.body(response), response.headers, round_trip, complete=False
        )

    def classify(self, backend: Backend, text: str, classes: int) -> Answer:
        """Classify one text with the scores of all classes, where the service gives them.

        They come by the Hugging Face route; a service without it gives the best label alone.
        """
        if classes > 1 and time.monotonic() > self._best_only_until:
            body = {"inputs": text, "parameters": {"top_k": classes}}
            try:
                response, round_trip = self._call("POST", f"/{backend}", json=body)
            except NotThereError:
                found = self.infer(backend, text)  # raises where all of the service is not there
                self._best_only_until = time.monotonic() + _LOOK_AGAIN_S
                return found
            else:
                rows = wire.body(response)
                first = rows[0] if isinstance(rows, list) and rows else None
                return wire.answer(
                    backend,
                    first if isinstance(first, list) else rows,
                    response.headers,
                    round_trip,
                    complete=isinstance(first, list) and len(first) == classes,
                )
        return self.infer(backend, text)

    def info(self) -> Info:
        response, _ = self._call("GET", "/info", timeout=self._quick)
        return wire.model(Info, response)

    def cluster(self) -> Cluster:
        response, _ = self._call("GET", "/cluster", timeout=self._quick)
        return wire.model(Cluster, response)

    def ready(self) -> Readiness:
        """Ask whether both backends answer; a service in the middle of starting says no."""
        response, _ = self._send("GET", "/ready", timeout=self._quick)
        if response.status_code == 200:
            return Readiness(ready=True)
        try:
            body = response.json()
        except ValueError:
            body = None
        backends = body.get("backends") if isinstance(body, dict) else None
        missing = (
            tuple(name for name, state in backends.items() if state != "ready")
            if isinstance(backends, dict)
            else ()
        )
        # Where all backends answer it is something else, which the service's own refusal names.
        return Readiness(ready=False, missing=missing, starting=not backends or bool(missing))

    def stream(
        self, backend: Backend, rows: Iterable[tuple[int, str]]
    ) -> Iterator[Scored | Summary]:
        """Send numbered texts as NDJSON; yield their answers as they come, then a summary.

        The service answers in order, so whoever catches an error here knows where to go on.
        """
        body = "".join(json.dumps({"id": n, "input": text}) + "\n" for n, text in rows).encode()
        response, _ = self._call(
            "POST",
            f"/{backend}/stream",
            data=body,
            headers={"Content-Type": _NDJSON, "Accept": _NDJSON},
            stream=True,
        )
        with response:
            for line in lines(response):
                scored = wire.scored(line)
                yield scored
                if isinstance(scored, Summary) and scored.error:
                    raise scored.error

    def diagnose(self, error: ServiceError) -> ServiceError:
        """Tell a service that is starting from one that is broken, busy or somewhere else.

        While it starts, whatever stands in front of it answers for it: 404, 500 or 503.
        """
        if error.status not in {404, 500, 502, 503}:
            return error
        try:
            readiness = self.ready()
        except ServiceError:
            return error
        if readiness.ready or not readiness.starting:
            return error
        names = " and ".join(readiness.missing)
        return StartingError(
            f"The service is starting: {names} is not ready yet." if names else None,
            f"{StartingError.remedy} Where it lasts minutes, check SENTIMENT_UI_API_URL.",
            status=error.status,
            retry_after=error.retry_after,
        )

    def _call(self, method: str, path: str, **options: Any) -> tuple[requests.Response, float]:
        response, round_trip = self._send(method, path, **options)
        if response.is_redirect:
            response.close()
            raise ServiceError(
                f"The service's address redirects to {response.headers['Location']}.",
                "Set SENTIMENT_UI_API_URL to where the service itself is.",
                status=response.status_code,
            )
        if response.status_code >= 400:
            with response:
                raise from_response(response)
        return response, round_trip

    def _send(self, method: str, path: str, **options: Any) -> tuple[requests.Response, float]:
        """Send once; once more where a kept-alive connection turned out to be closed.

        Every route the page calls may be repeated without harm.
        """
        for last in (False, True):
            start = time.perf_counter()
            try:
                response = self._session.request(
                    method,
                    self.url + path,
                    allow_redirects=False,
                    **{"timeout": self._timeout, **options},
                )
            except ReadTimeout as error:
                raise TimedOutError() from error
            except SSLError as error:
                raise ServiceError(
                    "The page and the service come to no secure connection.",
                    "Check that SENTIMENT_UI_API_URL is an https address; where a private authority"
                    " signed its certificate, SENTIMENT_UI_CA_FILE names that authority's.",
                ) from error
            except requests.ConnectionError as error:
                if last or not _was_dropped(error):
                    raise UnreachableError() from error
            except (ChunkedEncodingError, ContentDecodingError) as error:
                raise UnreachableError(BROKE_OFF) from error
            except requests.RequestException as error:
                raise UnreachableError(
                    "The page cannot ask the service at its address.", detail=str(error)
                ) from error
            else:
                return response, 1000 * (time.perf_counter() - start)
        raise AssertionError("unreachable")


def _was_dropped(error: requests.ConnectionError) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(cause, ProtocolError)
