"""Who may ask for what: the credential of a request, checked before its body is read."""

import logging
import re

from starlette.requests import Request

from serve_app.api.client import ANONYMOUS, Client, RefusedError, Scope, UncheckedError
from serve_app.api.errors import FORBIDDEN, IDENTITY_AWAY, UNAUTHORIZED, ProblemError
from serve_app.api.issuer import Issuer
from serve_app.api.keys import PREFIX, KeyFile
from serve_app.api.tokens import Tokens
from serve_app.settings import Settings

logger = logging.getLogger("ray.serve")

LONGEST = 8192
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE | re.ASCII)


class Authenticator:
    """Tells the client of a request by the ways that the settings name.

    Raises:
        KeysError: the file of API keys cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        modes = settings.auth_modes
        self.required = bool(modes)
        """Whether a credential is asked for at all."""
        self._keys: KeyFile | None = None
        self._tokens: Tokens | None = None
        if "api-key" in modes:
            assert settings.api_keys is not None  # Settings refuses the mode without
            self._keys = KeyFile(settings.api_keys)
        if "oidc" in modes:
            self._tokens = _tokens(settings)

    async def authenticate(self, request: Request, scope: Scope | None = None) -> Client:
        """The client of a request, who has the scope if one is asked for; before its body is read.

        Raises:
            ProblemError: 401 no or a bad credential, 403 not allowed, 503 cannot be checked now.
        """
        if not self.required:
            return ANONYMOUS
        try:
            client = await self._client(request.headers.getlist("authorization"))
        except RefusedError as error:
            logger.warning("401: %s", error)
            raise _unauthorized(error.reason) from None
        except UncheckedError as error:
            logger.error("503: a token could not be checked: %s", error)
            raise ProblemError(
                IDENTITY_AWAY,
                "The issuer's keys cannot be read now, so the token cannot be checked.",
                headers={"Retry-After": str(error.retry_after)},
            ) from None
        if scope is not None and scope not in client.scopes:
            logger.warning("403: %r lacks the scope %s", client.id, scope)
            raise ProblemError(
                FORBIDDEN,
                f"The credential lacks the scope `{scope}`.",
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            )
        return client

    async def states(self) -> dict[str, tuple[bool, str]]:
        """Each way: whether it lets anyone in now, and a sentence if something is wrong."""
        states: dict[str, tuple[bool, str]] = {}
        if self._keys is not None:
            states["api-key"] = (True, self._keys.state())
        if self._tokens is not None:
            said = await self._tokens.issuer.state()
            states["oidc"] = (self._tokens.issuer.usable, said)
        return states

    async def _client(self, headers: list[str]) -> Client:
        if not headers:
            raise RefusedError(_MISSING)
        if len(headers) > 1:
            raise RefusedError("there are several Authorization headers")
        if len(headers[0]) > LONGEST:
            raise RefusedError(f"the credential has more than {LONGEST} characters")
        match = _BEARER.fullmatch(headers[0])
        if match is None:
            raise RefusedError("the Authorization header is not of the form `Bearer …`")
        credential = match[1]
        if self._keys is not None and (self._tokens is None or credential.startswith(PREFIX)):
            return self._keys.client(credential)
        assert self._tokens is not None
        return await self._tokens.client(credential)


_MISSING = "there is no credential"


def _unauthorized(reason: str) -> ProblemError:
    # RFC 6750: a request without a credential is told no error, only what to bring.
    challenge = "Bearer" if reason == _MISSING else 'Bearer error="invalid_token"'
    detail = f"{reason[0].upper()}{reason[1:]}; send `Authorization: Bearer …`."
    return ProblemError(UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})


def _tokens(settings: Settings) -> Tokens:
    assert settings.oidc_issuer is not None  # Settings refuses the mode without
    assert settings.oidc_audience is not None
    issuer = Issuer(
        settings.oidc_issuer,
        settings.oidc_algorithms,
        lifetime=settings.oidc_cache_s,
        pause=settings.oidc_pause_s,
    )
    return Tokens(
        issuer,
        settings.oidc_issuer,
        settings.oidc_audience,
        settings.oidc_algorithms,
        settings.oidc_leeway_s,
    )
