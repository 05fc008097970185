"""`POST /{backend}/stream`: a data set of any length, answered row by row while it arrives.

Three things go on at once: the upload is read into a spool on disk, rows are taken from it in
pieces of few texts and sent to the model, and answers leave in the order of the rows. A slow
reader holds up the pieces, not the upload; a client that hangs up ends all three.
"""

import asyncio
import errno
import logging
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sized
from contextlib import aclosing
from typing import Any, NamedTuple

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve_app.api.answers import ANSWERED, HUNG_UP, count, infer, observe
from serve_app.api.body import media_type, require_plain
from serve_app.api.client import Client
from serve_app.api.errors import (
    INTERNAL,
    INVALID,
    MEDIA,
    NOT_JSON,
    OVERLOADED,
    TIMED_OUT,
    TOO_LARGE,
    ProblemError,
    as_problem,
    kind_of,
)
from serve_app.api.gateway import Gateway
from serve_app.api.limits import Verdict
from serve_app.api.openapi import STREAM_HEADERS, problems, query, stream_body
from serve_app.api.rows import CsvRows, NdjsonRows, Row
from serve_app.api.schemas import each_once
from serve_app.api.spool import SilentError, Spool, SpoolFullError
from serve_app.engine.fair_queue import LONG_TURN
from serve_app.engine.postprocess import DEFAULT_FUNCTION, apply
from serve_app.request import REQUEST_ID, Answers
from serve_app.telemetry import BAD_ROWS

logger = logging.getLogger("ray.serve")

NDJSON = "application/x-ndjson"
CSV = "text/csv"
PIECE = LONG_TURN
"""Most rows of one piece: long work travels as short calls, and of one turn, so that the model
answers the first piece first."""
PIECES = 4
"""Pieces that are with the model at the same time."""
AT_ONCE = 256
"""Rows that are parsed before others have their turn: some milliseconds, where all are broken."""
PATIENCE_S = 60.0
"""How long a piece is tried again while the model is overloaded or away."""
SILENCE_S = 60.0
"""How long a stream may have nothing to do because its upload does not come."""
LONGEST_OFFSET = 18
"""Digits."""
PARAMETERS = query(
    text_column=("The CSV column with the texts.", {"type": "string"}),
    offset=(
        "Rows to skip: those already answered.",
        {"type": "integer", "minimum": 0, "maximum": 10**LONGEST_OFFSET - 1, "default": 0},
    ),
)


def router(gateway: Gateway) -> APIRouter:
    """The route of each backend."""
    routes = APIRouter()

    def add(backend: str) -> None:
        async def endpoint(request: Request) -> Response:
            kind = "unknown"
            REQUEST_ID.set(request.headers.get("x-request-id", ""))
            try:
                client = await gateway.identity.authenticate(request, scope="stream")
                kind = client.kind
                return _Stream(gateway, client, backend, *_asked(request))
            except Exception as error:
                count(gateway, "stream", backend, kind_of(error), kind)
                raise

        routes.add_api_route(
            f"/{backend}/stream",
            endpoint,
            methods=["POST"],
            name=f"stream_{backend}",
            operation_id=f"stream_{backend}",
            summary=f"Classify a data set with {backend}, row by row",
            tags=["inference"],
            response_class=Response,
            responses={
                200: {
                    "headers": STREAM_HEADERS,
                    "description": "A line for each row, in order, then a summary.",
                    "content": {NDJSON: {"schema": {"type": "string"}}},
                },
                **problems(405, 415, 422, 503),
            },
            openapi_extra={**stream_body(NDJSON, CSV), **PARAMETERS},
        )

    for backend in gateway.dispatchers:
        add(backend)
    return routes


def _asked(request: Request) -> tuple[str | None, int]:
    """The CSV's column of texts, None for NDJSON, and the rows to skip.

    Raises:
        ProblemError: 415 another type or compressed, 422 a query that is not valid.
    """
    require_plain(request)
    media = media_type(request)
    if media not in (NDJSON, CSV):
        raise ProblemError(MEDIA, f"Content-Type is {media or 'empty'}; send {NDJSON} or {CSV}.")
    asked = request.query_params
    each_once(asked)
    offset = asked.get("offset", "0")
    if not (offset.isascii() and offset.isdecimal() and len(offset) <= LONGEST_OFFSET):
        raise ProblemError(INVALID, "`offset` must be a whole number from 0.", field="offset")
    column = asked.get("text_column")
    if media == CSV and not column:
        raise ProblemError(
            INVALID, "A CSV needs ?text_column=, the column's name.", field="text_column"
        )
    return (column if media == CSV else None), int(offset)


def _not_kept(error: OSError) -> str:
    """The sentence for a client; the log has it too, with all that the system says."""
    logger.warning("request %s: the upload cannot be kept: %r", REQUEST_ID.get(), error)
    return f"The upload cannot be kept: {error.strerror}."


class _Piece(NamedTuple):
    """Answered rows, and what they took from the quota."""

    lines: bytes
    rows: int
    errors: int
    truncated: int
    texts: int
    drawn: Verdict


class _Stream(Response):
    """Reads the upload and writes the answers, both at once."""

    def __init__(
        self,
        gateway: Gateway,
        client: Client,
        backend: str,
        text_column: str | None,
        offset: int,
    ) -> None:
        super().__init__(
            media_type=NDJSON,
            headers={"x-backend": backend, "x-model": gateway.model},
        )
        del self.headers["content-length"]
        self._gateway = gateway
        self._client = client
        self._backend = backend
        self._column = text_column
        self._offset = offset
        self._labels = gateway.manifest.labels
        self._function = DEFAULT_FUNCTION[gateway.manifest.problem_type]
        self._rows = 0
        self._errors = 0
        self._truncated = 0
        self._ended = HUNG_UP
        self._answered_at = -math.inf
        self._writing: asyncio.Task[None]
        self._drawing = asyncio.Lock()
        self._alone = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._gateway.streams.one(self._client):
                await self._converse(receive, send)
        except ProblemError as problem:  # nothing has been sent
            count(self._gateway, "stream", self._backend, problem.kind, self._client.kind)
            raise

    async def _converse(self, receive: Receive, send: Send) -> None:
        """
        Raises:
            ProblemError: 503, the upload cannot be kept.
        """
        try:
            spool = Spool(self._gateway.settings.max_spool_bytes, self._gateway.spools)
        except OSError as error:  # no file more, or a disk that is full
            raise ProblemError(
                OVERLOADED, _not_kept(error), headers={"Retry-After": "1"}
            ) from error
        self._writing = writing = asyncio.create_task(self._write(spool, send))
        reading = asyncio.create_task(self._read(receive, spool))
        try:
            await writing
        except asyncio.CancelledError:
            pass  # the client has hung up, or Ray has given the request up
        except Exception:
            self._ended = INTERNAL
            raise
        finally:
            for task in (writing, reading):
                task.cancel()
            try:
                await asyncio.gather(writing, reading, return_exceptions=True)
            finally:
                spool.close()
                count(self._gateway, "stream", self._backend, self._ended, self._client.kind)

    async def _read(self, receive: Receive, spool: Spool) -> None:
        """Spool the upload; afterwards, wait for the client to hang up and end the work."""
        full = False
        while True:
            try:
                message = await receive()
            except Exception as error:  # Ray's, whatever kept the upload from coming
                spool.end(OSError(errno.EIO, repr(error)))
                return
            if message["type"] == "http.disconnect":
                self._writing.cancel()
                return
            if full:
                continue  # read on, or the client that only sends would never hear of it
            try:
                spool.write(message.get("body", b""))
            except (SpoolFullError, OSError) as error:
                spool.end(error)
                full = True
                continue
            if not message.get("more_body", False):
                spool.end()

    async def _write(self, spool: Spool, send: Send) -> None:
        start = time.perf_counter()
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        problem: ProblemError | None = None
        try:
            async with aclosing(self._answers(spool)) as answered:
                async for piece in answered:
                    self._rows += piece.rows
                    self._errors += piece.errors
                    self._truncated += piece.truncated
                    self._answered_at = math.inf  # until the client has taken it
                    await send(
                        {"type": "http.response.body", "body": piece.lines, "more_body": True}
                    )
                    self._answered_at = time.monotonic()
        except ProblemError as error:
            problem = error.with_traceback(None)  # whose frames have this one, and all that it had
        except SpoolFullError:
            limit = self._gateway.settings.max_spool_bytes
            problem = ProblemError(
                TOO_LARGE,
                f"More than {limit} bytes wait for the model; read the answers while you send,"
                " or send less at a time and go on with ?offset=.",
            )
        except OSError as error:
            problem = ProblemError(OVERLOADED, _not_kept(error))
        seconds = time.perf_counter() - start
        summary = {
            "rows": self._rows,
            "errors": self._errors,
            "seconds": round(seconds, 3),
            "texts_per_second": round(self._rows / seconds, 1),
        }
        if self._truncated:
            summary["truncated"] = self._truncated
        last: dict[str, Any] = {"summary": summary}
        if problem is not None:
            last = {"error": as_problem(problem), "summary": summary}
            if "Retry-After" in problem.headers:
                last["error"]["retry_after"] = int(problem.headers["Retry-After"])
        self._ended = ANSWERED if problem is None else problem.kind
        await send({"type": "http.response.body", "body": orjson.dumps(last) + b"\n"})

    async def _answers(self, spool: Spool) -> AsyncGenerator[_Piece]:
        """Answered pieces, in order; reads no further ahead than `PIECES` pieces.

        Nothing leaves behind a piece that failed: who goes on by `?offset=` counts the rows before.
        """
        pieces: deque[asyncio.Task[_Piece]] = deque()
        source = self._pieces(spool, pieces)
        ended = False
        following: asyncio.Task[list[Row]] | None = None
        try:
            while pieces or not ended:
                if following is None and not ended and len(pieces) < PIECES:
                    following = asyncio.create_task(anext(source, []))
                # Whatever comes first: the next rows of the upload, or the oldest answers.
                waiting = {task for task in (following, *list(pieces)[:1]) if task is not None}
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if following in done and following is not None:
                    rows = following.result()
                    following = None
                    if rows:
                        pieces.append(asyncio.create_task(self._answer(rows)))
                    else:
                        ended = True
                if pieces and pieces[0].done():
                    answered = pieces[0].result()
                    pieces.popleft()
                    yield answered
        except (SpoolFullError, ProblemError, OSError):
            while pieces:  # what was sent on is answered before the fault is told
                answered = await pieces[0]
                pieces.popleft()
                yield answered
            raise
        finally:
            if following is not None:
                following.cancel()
            # Ray cancels this call as well, a moment after the client has hung up.
            await asyncio.shield(asyncio.create_task(self._drop(pieces)))

    async def _drop(self, pieces: Iterable["asyncio.Task[_Piece]"]) -> None:
        """End pieces that will not be sent, and give back what those took that have ended well."""
        for task in pieces:
            task.cancel()
        for unsent in await asyncio.gather(*pieces, return_exceptions=True):
            if isinstance(unsent, _Piece):
                await self._give_back(unsent.texts, unsent.drawn)

    async def _pieces(self, spool: Spool, under_way: Sized) -> AsyncIterator[list[Row]]:
        """Rows in pieces: full ones while the upload runs ahead, else what has arrived.

        Raises:
            ProblemError: 400, nothing more arrives, and no answer is due or has just left.
        """
        limit = self._gateway.settings.max_body_bytes
        most = min(PIECE, self._gateway.quota.most or PIECE)
        rows = NdjsonRows(limit) if self._column is None else CsvRows(limit, self._column)
        skip = self._offset
        waiting: list[Row] = []
        while True:
            try:
                piece = await spool.read(SILENCE_S)
            except SilentError:
                # The client may wait for its answers before it sends more.
                if under_way or time.monotonic() - self._answered_at < SILENCE_S:
                    continue
                detail = f"Nothing more of the upload came for {SILENCE_S:g} s."
                raise ProblemError(NOT_JSON, detail) from None
            for number, row in enumerate(rows.feed(piece) if piece else rows.end(), start=1):
                if skip:
                    skip -= 1
                else:
                    waiting.append(row)
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)
            # A piece is no larger than a request may be, and what came with its last row.
            large = sum(len(row.text or "") for row in waiting) >= limit
            while waiting and (len(waiting) >= most or large or not spool.waiting):
                yield waiting[:most]
                del waiting[:most]
            # Neither a full spool nor rows without end (blank lines) may hold the loop.
            await asyncio.sleep(0)
            if not piece:
                return

    async def _answer(self, rows: list[Row]) -> _Piece:
        texts = [row.text for row in rows if row.text is not None]
        async with self._drawing:  # one after the other: patience begins when it is its turn
            drawn = await self._gateway.quota.draw_patiently(self._client, len(texts), PATIENCE_S)
        taken, truncated = len(texts), 0
        results: list[dict[str, Any]] = []
        if texts:
            try:
                answers = await self._try(texts)
            except (ProblemError, asyncio.CancelledError):
                await self._give_back(taken, drawn)
                raise
            if answers.errors:
                taken -= len(answers.errors)
                await self._give_back(len(answers.errors), drawn)
            observe(self._gateway, self._backend, answers, queued=False)
            truncated = answers.truncated
            results = self._results(answers)
        result = iter(results)
        lines = [
            {"id": row.id, **({"error": row.error} if row.text is None else next(result))}
            for row in rows
        ]
        errors = sum("error" in line for line in lines)
        if errors:
            self._gateway.telemetry.note(BAD_ROWS, errors, backend=self._backend)
        body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
        return _Piece(body, len(lines), errors, truncated, taken, drawn)

    def _results(self, answers: Answers) -> list[dict[str, Any]]:
        """What the line of each text says beside its id."""
        scores = apply(answers.logits, self._function)
        best = zip(scores.argmax(axis=1).tolist(), scores.max(axis=1).tolist(), strict=True)
        results = [{"label": self._labels[label], "score": score} for label, score in best]
        for index, message in answers.errors.items():
            results[index] = {"error": message}
        return results

    async def _give_back(self, texts: int, drawn: Verdict) -> None:
        """Undo a draw; whose stream was cancelled, however it was, pays for what the model had."""
        if self._writing.cancelling():
            return
        await self._gateway.quota.give_back(self._client, texts, drawn)

    async def _try(self, texts: list[str]) -> Answers:
        """Have a piece answered, waiting while the model is overloaded, slow or away.

        Raises:
            ProblemError: it still is after `PATIENCE_S`.
        """
        try:
            return await self._patiently(texts)
        except ProblemError as problem:
            if problem.kind is not TIMED_OUT:
                raise
        # On a slow model the pieces that are with it at once are too many for each other.
        async with self._alone:
            return await self._patiently(texts, late=True)

    async def _patiently(self, texts: list[str], late: bool = False) -> Answers:
        """Have a piece answered, trying for `PATIENCE_S`; one that timed out only if `late`."""
        deadline = time.monotonic() + PATIENCE_S
        pause = 0.05
        while True:
            try:
                return await infer(self._gateway, self._backend, texts)
            except ProblemError as problem:
                if time.monotonic() > deadline or (problem.kind is TIMED_OUT and not late):
                    raise
                await asyncio.sleep(pause)
                pause = min(1.0, pause * 2)
