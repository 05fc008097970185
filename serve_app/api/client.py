"""Who asks: the client behind a credential, and why a credential was refused."""

from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["infer", "stream", "cluster"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class Client:
    """A client; quotas are counted by its id.

    Attributes:
        id: unique over all ways to identify oneself.
        kind: the way this one did.
        scopes: what it may do.
    """

    id: str
    kind: Literal["anonymous", "api-key", "oidc"]
    scopes: frozenset[str]


ANONYMOUS = Client("anonymous", "anonymous", frozenset(SCOPES))
"""Everybody, where no credential is asked for: they share one quota."""


class RefusedError(Exception):
    """A credential that lets nobody in.

    Args:
        reason: a clause for the client, such as "the token has expired".
        more: what only the log is told; never the credential itself.
    """

    def __init__(self, reason: str, more: str = "") -> None:
        super().__init__(f"{reason} ({more})" if more else reason)
        self.reason = reason


class UncheckedError(Exception):
    """A credential that cannot be checked now, be it good or bad.

    Args:
        reason: a clause.
        retry_after: seconds until it is worth trying again.
    """

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


def logged(value: object) -> str:
    """A part of a stranger's credential as a log may have it: short and on one line."""
    text = ascii(value)
    return text if len(text) <= 42 else f"{text[:40]}…"
