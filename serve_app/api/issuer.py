"""The public keys of an OIDC issuer: found by discovery, kept, and read again as they rotate.

Reading happens in a thread, one read at a time however many requests wait for it, and not more
often than once in a pause: tokens that name keys which do not exist cost the issuer nothing.
"""

import asyncio
import json
import logging
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextvars import Context
from http.client import HTTPException, HTTPMessage
from typing import IO, Any

from jwt import PyJWK

from serve_app.api.client import UncheckedError
from serve_app.settings import trustworthy

logger = logging.getLogger("ray.serve")

READ_S = 5.0
"""An issuer that has not answered in so long is away."""
AWAY_WAIT_S = 1.0
"""So long is waited for one that was away the last time: it may be back."""
READ_BYTES = 1_000_000
STALE_S = 24 * 3600.0
"""Keys that could not be read again for so long are not trusted any more."""

FAMILIES: Mapping[str, tuple[str, str | None]] = {
    **{f"{kind}{bits}": ("RSA", None) for kind in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Algorithms that may be pinned, by key type and curve: only those whose keys are public."""


class Issuer:
    """Keys of one issuer. Belongs to one event loop.

    Args:
        url: as in the tokens' `iss`.
        algorithms: of `FAMILIES`; keys for others are not taken.
        lifetime: seconds that keys are used before they must be read again.
        pause: least seconds between two reads.
    """

    def __init__(
        self,
        url: str,
        algorithms: tuple[str, ...],
        *,
        lifetime: float,
        pause: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._algorithms = algorithms
        self._lifetime = lifetime
        self._pause = pause
        self._clock = clock
        self._keys: dict[tuple[str, str], PyJWK] = {}
        self._read_at = -math.inf
        self._tried_at = -math.inf
        self._reading: asyncio.Task[None] | None = None
        self._fault = ""

    async def key(self, kid: str, algorithm: str) -> PyJWK | None:
        """The key of that id, if the issuer has it for that algorithm.

        Raises:
            UncheckedError: the issuer is away, and what is kept does not settle it.
        """
        await self._refresh()
        key = self._keys.get((kid, algorithm))
        if key is None:
            await self._read_again()
            key = self._keys.get((kid, algorithm))
        if self._age >= STALE_S or (key is None and self._fault):
            left = self._tried_at + self._pause - self._clock()
            raise UncheckedError(
                f"the keys of {self._url} cannot be read: {self._fault}",
                max(1, math.floor(left) + 1),
            )
        return key

    async def state(self) -> str:
        """Empty, or a sentence on why the keys cannot be read; reads them if they never were."""
        await self._refresh()
        return f"The keys of {self._url} cannot be read: {self._fault}." if self._fault else ""

    @property
    def usable(self) -> bool:
        """Whether any token can be checked."""
        return self._age < STALE_S

    @property
    def _age(self) -> float:
        return self._clock() - self._read_at

    async def _refresh(self) -> None:
        """Read the keys again as they age. An issuer that is known to be away is not waited for."""
        if self._age >= self._lifetime and not self._fault:
            await self._read_again()
        elif self._age >= self._lifetime / 2:
            self._start()

    def _start(self) -> "asyncio.Task[None] | None":
        """The read that is under way; a new one if the pause allows it."""
        if self._reading is None and self._clock() - self._tried_at >= self._pause:
            self._tried_at = self._clock()
            # In a context of its own: what it logs is not of the request that came by.
            read = self._read()
            self._reading = asyncio.get_running_loop().create_task(read, context=Context())
        return self._reading

    async def _read_again(self) -> None:
        reading = self._start()
        if reading is None:
            return
        # A client that hangs up does not end it for the others.
        done, _ = await asyncio.wait({reading}, timeout=AWAY_WAIT_S if self._fault else None)
        for read in done:
            read.result()

    async def _read(self) -> None:
        before = self._fault
        try:
            self._keys = await asyncio.to_thread(self._fetch)
            self._read_at = self._clock()
            self._fault = ""
        except _FaultError as error:
            self._fault = str(error)
            logger.error("the keys of %s cannot be read: %s", self._url, error)
        finally:
            self._reading = None
        if before and not self._fault:
            logger.info("the keys of %s can be read again", self._url)
        if not self._fault and not self._keys:
            logger.error("%s has no key for %s", self._url, ", ".join(self._algorithms))

    def _fetch(self) -> dict[tuple[str, str], PyJWK]:
        found = _get(f"{self._url.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._url:
            raise _FaultError("its discovery document is another issuer's")
        where = found.get("jwks_uri")
        if not isinstance(where, str) or not trustworthy(where):
            raise _FaultError("its discovery document has no jwks_uri that starts with https://")
        keys = _get(where).get("keys")
        if not isinstance(keys, list):
            raise _FaultError("its key set has no list of keys")
        return {
            (jwk["kid"], algorithm): key
            for jwk in keys
            for algorithm in self._algorithms
            if (key := _usable(jwk, algorithm)) is not None
        }


class _FaultError(Exception):
    """Why the keys cannot be read: a clause."""


def _usable(jwk: Any, algorithm: str) -> PyJWK | None:
    """The key, if it is a public one that signs with that algorithm."""
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str):
        return None
    family, curve = FAMILIES[algorithm]
    if jwk.get("kty") != family or (curve and jwk.get("crv") != curve):
        return None
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return None
    try:
        return PyJWK(jwk, algorithm)
    except Exception:  # whatever is wrong with one key, the others serve
        return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead past `trustworthy`."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


def _get(url: str) -> dict[str, Any]:
    """The JSON object at an address.

    Raises:
        _FaultError: there is none, or not in time.
    """
    opener = urllib.request.build_opener(_NoRedirect)
    deadline = time.monotonic() + READ_S
    body = b""
    try:
        with opener.open(url, timeout=READ_S) as response:
            while piece := response.read1(65536):
                body += piece
                if len(body) > READ_BYTES or time.monotonic() > deadline:
                    raise _FaultError(f"{url} is too large or too slow")
    except urllib.error.HTTPError as error:
        error.close()
        raise _FaultError(f"{url} answers {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise _FaultError(f"{url} does not answer: {reason}") from None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise _FaultError(f"{url} answers with no JSON") from None
    if not isinstance(value, dict):
        raise _FaultError(f"{url} answers with no JSON object")
    return value
