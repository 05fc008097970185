"""What the OpenAPI document says of identity and quotas, as the settings have them."""

from typing import Any, NamedTuple

from serve_app.api.client import Scope
from serve_app.api.errors import KINDS
from serve_app.api.openapi import NEEDS, REQUEST_ID, header, optional, problems
from serve_app.settings import Settings

CHALLENGE = header("`Bearer`, with what is wrong with the credential.")
RETRY_AFTER = header("Whole seconds after which it passes.", "integer", minimum=1)
RATE_LIMIT = header('What is left of the quota: `"texts";r=`texts`;t=`seconds until there is more.')
RATE_LIMIT_POLICY = header('The quota: `"texts";q=`texts`;w=`seconds`;qu="texts"`.')


class _Refusal(NamedTuple):
    """An answer that identity or quota may give in the place of a route's own."""

    status: int
    headers: dict[str, Any]


def needs(scope: Scope | None) -> dict[str, str]:
    """For `openapi_extra` of a route that authenticates; None: whatever the client may do."""
    return {NEEDS: scope or ""}  # FastAPI drops what is None


def describe(document: dict[str, Any], settings: Settings) -> None:
    """Say of every operation that needs a scope who gets in, and how it may refuse."""
    schemes = _schemes(settings)
    if schemes:
        document["components"]["securitySchemes"] = schemes
    for path in document["paths"].values():
        for operation in path.values():
            if NEEDS in operation:
                _describe(operation, operation.pop(NEEDS) or None, settings, schemes)


def _describe(
    operation: dict[str, Any], scope: Scope | None, settings: Settings, schemes: dict[str, Any]
) -> None:
    if schemes:
        operation["security"] = [
            {name: [scope] if scope and scheme["type"] == "openIdConnect" else []}
            for name, scheme in schemes.items()
        ]
    responses = operation["responses"]
    # The shape of a protocol's errors is that of the ones it has already.
    shapes = [said["content"] for status, said in responses.items() if status in ("405", "422")]
    draws = settings.quota is not None and scope in ("infer", "stream")
    for status, headers in _refusals(settings, draws):
        title = " / ".join(kind.title for kind in KINDS if kind.status == status) + "."
        said = responses.setdefault(str(status), {"description": title, "headers": {}})
        said.setdefault("content", shapes[0] if shapes else problems(status)[status]["content"])
        said["headers"] = {**said.get("headers", {}), **headers, **REQUEST_ID}
    if draws and scope == "infer":
        counted = (RATE_LIMIT, RATE_LIMIT_POLICY)
        if settings.quota_redis is not None:  # nothing is counted while it is away
            counted = (optional(RATE_LIMIT), optional(RATE_LIMIT_POLICY))
        answer = responses["200"]
        answer["headers"] = {
            **answer.get("headers", {}),
            "RateLimit": counted[0],
            "RateLimit-Policy": counted[1],
        }
    operation["responses"] = dict(sorted(responses.items()))


def _refusals(settings: Settings, draws: bool) -> list[_Refusal]:
    refusals: list[_Refusal] = []
    if settings.auth_modes:
        challenge = {"WWW-Authenticate": CHALLENGE}
        refusals += [_Refusal(401, challenge), _Refusal(403, challenge)]
    if draws:
        counted = {"RateLimit": RATE_LIMIT, "RateLimit-Policy": RATE_LIMIT_POLICY}
        refusals.append(_Refusal(429, {"Retry-After": RETRY_AFTER, **counted}))
        too_many = optional(header("Where the request has more texts than the quota: the quota."))
        refusals.append(_Refusal(422, {"RateLimit-Policy": too_many}))
    closed = draws and settings.quota_redis is not None and settings.quota_redis_away == "closed"
    if "oidc" in settings.auth_modes or closed:
        refusals.append(_Refusal(503, {"Retry-After": RETRY_AFTER}))
    return refusals


def _schemes(settings: Settings) -> dict[str, Any]:
    schemes: dict[str, Any] = {}
    if "api-key" in settings.auth_modes:
        schemes["key"] = {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key that `sentiment key create` made.",
        }
    if "oidc" in settings.auth_modes:
        assert settings.oidc_issuer is not None
        found = f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration"
        schemes["token"] = {
            "type": "openIdConnect",
            "openIdConnectUrl": found,
            "description": "An access token of this issuer, sent as `Authorization: Bearer …`.",
        }
    return schemes
