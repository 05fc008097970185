"""The body of a request: within its limit, of the right type, parsed."""

import asyncio
import json
import logging
import re
from typing import Any, NoReturn

import orjson
from starlette.requests import ClientDisconnect, Request

from serve_app.api.errors import INVALID, MEDIA, NOT_JSON, OVERLOADED, TOO_LARGE, ProblemError
from serve_app.api.room import NoRoomError, Room
from serve_app.request import REQUEST_ID

logger = logging.getLogger("ray.serve")

ARRIVAL_S = 60.0
"""Within which a body must have arrived."""
MOST_PARTS = 200_000
"""Of JSON: its strings, and the bytes between them. 4 MB of empty lists would hold the event loop
for a third of a second before it is known that they are no texts."""
_PARTS = re.compile(
    rb'(?:[^"]|"[^"\\]*+(?:\\.[^"\\]*+)*+"?){0,' + str(MOST_PARTS).encode() + rb"}+", re.DOTALL
)


async def read_json(request: Request, limit: int, room: Room) -> Any:
    """The parsed JSON body.

    Args:
        limit, room: see `read`.

    Raises:
        ProblemError: 415 not JSON by its Content-Type, 413 over `limit` bytes, 400 no JSON, 503.
    """
    require_media(request)
    return parse(await read(request, limit, room))


def require_media(request: Request, other: str | None = None) -> str:
    """The type of a body that is JSON, or of the other type where one is given.

    Raises:
        ProblemError: 415, its Content-Type says that it is not.
    """
    media = media_type(request, "application/json")
    if media not in ("application/json", other) and not media.endswith("+json"):
        also = f" or {other}" if other else ""
        raise ProblemError(
            MEDIA, f"Content-Type is {media or 'empty'}; send application/json{also}."
        )
    return media


def media_type(request: Request, default: str = "") -> str:
    """What Content-Type names, without its parameters."""
    return request.headers.get("content-type", default).split(";")[0].strip().lower()


def require_plain(request: Request) -> None:
    """
    Raises:
        ProblemError: 415, the body is compressed.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", ""):
        raise ProblemError(
            MEDIA,
            f"Content-Encoding is {coding}; send the body as it is.",
            headers={"Accept-Encoding": "identity"},
        )


async def read(request: Request, limit: int, room: Room) -> bytes:
    """The raw body.

    Args:
        limit: bytes that it may have.
        room: what the bodies that are on their way share.

    Raises:
        ProblemError: 413, it is longer than `limit` bytes; 415, it is compressed; 400, it does
            not come to its end; 503, too many others are on their way.
    """
    require_plain(request)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(ARRIVAL_S):
            async for piece in request.stream():
                if size + len(piece) > limit:
                    raise _too_large(limit)
                room.take(len(piece))
                size += len(piece)
                pieces.append(piece)
    except ClientDisconnect:
        raise ProblemError(NOT_JSON, "The client hung up before the body ended.") from None
    except TimeoutError:
        raise ProblemError(NOT_JSON, f"The body did not end within {ARRIVAL_S:g} s.") from None
    except NoRoomError:
        logger.warning("request %s: no room for its body", REQUEST_ID.get())
        raise ProblemError(
            OVERLOADED, "Too much else is being received now.", headers={"Retry-After": "1"}
        ) from None
    finally:
        room.give_back(size)
    return b"".join(pieces)


def parse(body: bytes) -> Any:
    """JSON to Python; lone surrogates pass, for the schema to name the field that has them.

    Raises:
        ProblemError: 400, it is no JSON; 422, it is little but brackets and commas.
    """
    # Few commas and brackets are few values; many of them may still be those of texts.
    if sum(map(body.count, b",[{")) > MOST_PARTS and not _PARTS.fullmatch(body):
        raise ProblemError(
            INVALID, f"The body has more than {MOST_PARTS} strings and bytes between them."
        )
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fault: Exception = error
    try:
        text = body.decode("utf-8-sig", "surrogatepass")
        return json.loads(text, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        fault = ValueError(f"it is not UTF-8, {error.reason} at byte {error.start}")
    except (ValueError, RecursionError):
        pass  # the first parser says it better
    raise ProblemError(NOT_JSON, f"The body is not JSON: {fault}.")


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity, which Python would take."""
    raise ValueError(constant)


def _too_large(limit: int) -> ProblemError:
    return ProblemError(TOO_LARGE, f"The body is larger than {limit} bytes.")
