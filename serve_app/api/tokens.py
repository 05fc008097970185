"""OIDC access tokens: signed JWTs, checked with the issuer's public keys.

A client sends its token again and again: one that was found good is good as long as the issuer has
the key that signed it and it has not expired. To check the signature anew takes three times as long
as all else.
"""

import hashlib
import time
from typing import Any, NamedTuple

import jwt

from serve_app.api.client import Client, RefusedError, logged
from serve_app.api.issuer import Issuer

REQUIRED = ("exp", "iss", "aud", "sub")
TYPES = (None, "jwt", "at+jwt", "application/at+jwt")
"""`typ` of access tokens; a logout token of the same issuer, say, is none."""
LONGEST_SUBJECT = 255
REMEMBERED = 4096
"""Good tokens, by their digests."""

_REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is for another audience",
    jwt.InvalidIssuerError: "the token is from another issuer",
    jwt.InvalidSignatureError: "the token's signature is wrong",
    jwt.InvalidKeyError: "the token's key is too short",
}


class _Good(NamedTuple):
    kid: str
    algorithm: str
    key: jwt.PyJWK
    expires: int
    client: Client


class Tokens:
    """Tokens of one issuer for one audience.

    Args:
        url: of the issuer.
        algorithms: the only ones that a token may be signed with.
        leeway: seconds that clocks may differ.
    """

    def __init__(
        self, issuer: Issuer, url: str, audience: str, algorithms: tuple[str, ...], leeway: float
    ) -> None:
        self.issuer = issuer
        self._url = url
        self._audience = audience
        self._algorithms = algorithms
        self._leeway = leeway
        self._good: dict[bytes, _Good] = {}

    async def client(self, token: str) -> Client:
        """The client that the issuer says it is.

        Raises:
            RefusedError: the token lets nobody in.
            UncheckedError: the issuer is away and its keys are not at hand.
        """
        digest = hashlib.sha256(token.encode()).digest()
        good = self._good.pop(digest, None)
        if good is None or not await self._is_still(good):
            good = await self._check(token)
        self._good[digest] = good  # the latest is the last
        if len(self._good) > REMEMBERED:
            del self._good[next(iter(self._good))]
        return good.client

    async def _is_still(self, good: _Good) -> bool:
        key = await self.issuer.key(good.kid, good.algorithm)
        return key is good.key and good.expires > time.time() - self._leeway

    async def _check(self, token: str) -> _Good:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise RefusedError("the token is no JWT") from None
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
        if algorithm not in self._algorithms:
            raise RefusedError("the token's algorithm is not allowed", logged(algorithm))
        if (kind.lower() if isinstance(kind, str) else kind) not in TYPES:
            raise RefusedError("the token is no access token", f"typ {logged(kind)}")
        if not isinstance(kid, str):
            raise RefusedError("the token names no key")
        key = await self.issuer.key(kid, algorithm)
        if key is None:
            raise RefusedError("the token's key is not known", f"kid {logged(kid)}")
        claims = self._claims(token, key, algorithm)
        return _Good(kid, algorithm, key, int(claims["exp"]), _client(claims))

    def _claims(self, token: str, key: jwt.PyJWK, algorithm: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._url,
                leeway=self._leeway,
                options={"require": list(REQUIRED), "enforce_minimum_key_length": True},
            )
        except jwt.MissingRequiredClaimError as error:
            raise RefusedError(f"the token has no `{error.claim}`") from None
        except jwt.PyJWTError as error:
            # The library's own words may quote the token.
            reason = _REASONS.get(type(error), "the token is not valid")
            raise RefusedError(reason, type(error).__name__) from None


def _client(claims: dict[str, Any]) -> Client:
    subject: str = claims["sub"]
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise RefusedError("the token's `sub` is empty, too long or not printable")
    return Client(f"oidc:{subject}", "oidc", _scopes(claims))


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """`scope` (RFC 9068) or `scp` (other issuers), as a list or divided by spaces."""
    said = claims.get("scope", claims.get("scp", ""))
    items = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
    return frozenset(item for item in items if isinstance(item, str))
