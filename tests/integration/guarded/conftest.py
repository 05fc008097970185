"""The application with identity, quotas and two ingress replicas; the twins are compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serve_app.api.client import Scope
from serve_app.api.keys import Records, make, read, write
from tests.integration.beside import Beside
from tests.redis_server import BINARY, RedisServer
from tests.refused import Guarded
from tests.signing_issuer import SigningIssuer

QUOTA = (30, 15)
"""Texts and seconds: a slow machine draws them all within one window."""
SCOPES: tuple[Scope, ...] = ("infer", "stream")


@dataclass(frozen=True)
class GuardedService:
    """The running application, and what its identity and quotas go by."""

    beside: Beside
    given: Guarded
    redis: RedisServer | None


@pytest.fixture(scope="package")
def guarded(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedService]:
    folder = tmp_path_factory.mktemp("guarded")
    redis = RedisServer() if BINARY else None
    try:
        with SigningIssuer() as issuer:
            given = Guarded(issuer, folder)
            environment = {
                "SENTIMENT_MODEL": str(prepared),
                **{f"SENTIMENT_{name.upper()}": value for name, value in given.settings.items()},
                "SENTIMENT_OIDC_PAUSE_S": "0.2",
                "SENTIMENT_SHADOW_SHARE": "1",
                "SENTIMENT_QUOTA": f"{QUOTA[0]}/{QUOTA[1]} seconds",
                "SENTIMENT_QUOTA_REDIS_TIMEOUT_S": "30",
                **({"SENTIMENT_QUOTA_REDIS": redis.url} if redis else {}),
            }
            with Beside(environment, folder) as beside:
                yield GuardedService(beside, given, redis)
    finally:
        if redis is not None:
            redis.kill()


@pytest.fixture
def client(guarded: GuardedService, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Options for the requests of a client of the test's own, with its whole quota."""
    before = read(guarded.given.file).keys
    key, record = make(request.node.name[:60], SCOPES)
    write(guarded.given.file, Records(keys=(*before, record)))
    yield {"headers": {"Authorization": f"Bearer {key}"}}
    write(guarded.given.file, Records(keys=before))


def texts(count: int) -> dict[str, object]:
    return {"input": ["A lovely film."] * count}
