"""What the routes may use: the one object that links the API to the replicas behind it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from serve_app.api.auth import Authenticator
from serve_app.api.client import Client, Scope
from serve_app.api.limits import Quota
from serve_app.auto import Inference
from serve_app.engine.artifacts import Manifest
from serve_app.settings import Settings
from serve_app.shadow import Shadow
from serve_app.telemetry import Telemetry

DESCRIBE_TIMEOUT_S = 2.0
DESCRIBE_CACHED_S = 1.0
CLUSTER_CACHED_S = 2.0

Description = dict[str, Any]


@dataclass(slots=True)
class Gateway:
    """Handles, limits and facts of the model, as the routes need them.

    Attributes:
        dispatchers: one for each backend and `auto`, by its name in the routes.
        describe: asks some replica of a backend how it runs the model.
        telemetry, shadow: take what happened, and compare the twins on it.
        snapshot: the state of the deployments, as `/cluster` shows it.
        identity, quota: as the settings have them, so that no gateway is without.
    """

    settings: Settings
    manifest: Manifest
    config_hash: str
    dispatchers: Mapping[str, Inference]
    describe: Mapping[str, Callable[[], Awaitable[Description]]]
    snapshot: Callable[[], Awaitable[Description]]
    telemetry: Telemetry
    shadow: Shadow
    identity: Authenticator = field(init=False)
    quota: Quota = field(init=False)
    _cluster: tuple[float, Description] | None = None
    _described: dict[str, tuple[float, Description | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.identity = Authenticator(self.settings)
        self.quota = Quota(self.settings)

    async def authenticate(self, request: Request, scope: Scope | None = None) -> Client:
        """See `Authenticator.authenticate`; call it before the body is read."""
        return await self.identity.authenticate(request, scope)

    async def descriptions(self) -> dict[str, Description | None]:
        """What a replica of each backend says of itself; None where none answers."""
        names = list(self.describe)
        return dict(zip(names, await asyncio.gather(*map(self._description, names)), strict=True))

    async def _description(self, backend: str) -> Description | None:
        at, said = self._described.get(backend, (-DESCRIBE_CACHED_S, None))
        if time.monotonic() - at < DESCRIBE_CACHED_S:
            return said
        try:
            async with asyncio.timeout(DESCRIBE_TIMEOUT_S):
                said = await self.describe[backend]()
        except Exception:  # whatever keeps it from answering, it is not ready
            said = None
        self._described[backend] = (time.monotonic(), said)
        return said

    async def cluster(self) -> Description:
        """The deployments' state, at most `CLUSTER_CACHED_S` old."""
        if self._cluster is None or time.monotonic() - self._cluster[0] >= CLUSTER_CACHED_S:
            self._cluster = (time.monotonic(), await self.snapshot())
        return self._cluster[1]
