"""What the routes may use: the one object that links the API to the replicas behind it."""

import asyncio
import functools
import string
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from serve_app.api.auth import Authenticator
from serve_app.api.limits import Quota
from serve_app.api.room import Places, Room
from serve_app.api.shared import Shared
from serve_app.auto import Inference
from serve_app.engine.artifacts import Manifest
from serve_app.settings import Settings
from serve_app.shadow import Shadow
from serve_app.telemetry import Telemetry

DESCRIBE_TIMEOUT_S = 2.0
DESCRIBE_CACHED_S = 1.0
CLUSTER_TIMEOUT_S = 10.0
CLUSTER_CACHED_S = 2.0
ARRIVING = 2048
"""Bodies that may be on their way at the same time, and half as many of one client. With what waits
and the streams that is less than Serve's `max_ongoing_requests`, beyond which requests would wait
for nobody knows how long, and their bodies in memory."""

Description = dict[str, Any]


@dataclass(slots=True)
class Gateway:
    """Handles, limits and facts of the model, as the routes need them.

    Attributes:
        dispatchers: one for each backend and `auto`, by its name in the routes.
        describe: asks some replica of a backend how it runs the model.
        telemetry, shadow: take what happened, and compare the twins on it.
        snapshot: the state of the deployments, as `/cluster` shows it.
        identity, quota, bodies, spools, streams: as the settings have them, so that no gateway is
            without.
        arriving: places of requests whose body is on its way.
        model: its name as a header may carry it, the rest percent-encoded.
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
    bodies: Room = field(init=False)
    spools: Room = field(init=False)
    streams: Places = field(init=False)
    arriving: Places = field(init=False)
    model: str = field(init=False)
    _cluster: Shared[Description] = field(init=False)
    _described: dict[str, Shared[Description | None]] = field(init=False)

    def __post_init__(self) -> None:
        self.identity = Authenticator(self.settings)
        self.quota = Quota(self.settings)
        self.bodies = Room(self.settings.max_bodies_bytes)
        self.spools = Room(self.settings.max_spools_bytes)
        self.streams = Places(
            "open streams", self.settings.max_streams, self.settings.max_streams_per_client
        )
        self.arriving = Places("bodies on their way", ARRIVING, ARRIVING // 2)
        self.model = quote(self.manifest.model_id, safe=string.punctuation + " ")
        self._cluster = Shared(self._snapshot, CLUSTER_CACHED_S)
        self._described = {
            backend: Shared(functools.partial(self._description, backend), DESCRIBE_CACHED_S)
            for backend in self.describe
        }

    async def descriptions(self) -> dict[str, Description | None]:
        """What a replica of each backend says of itself; None where none answers."""
        said = await asyncio.gather(*(each.get() for each in self._described.values()))
        return dict(zip(self._described, said, strict=True))

    async def cluster(self) -> Description:
        """The deployments' state, at most `CLUSTER_CACHED_S` old.

        Raises:
            TimeoutError: Serve does not say it.
        """
        return await self._cluster.get()

    async def _snapshot(self) -> Description:
        async with asyncio.timeout(CLUSTER_TIMEOUT_S):
            return await self.snapshot()

    async def _description(self, backend: str) -> Description | None:
        try:
            async with asyncio.timeout(DESCRIBE_TIMEOUT_S):
                return await self.describe[backend]()
        except Exception:  # whatever keeps it from answering, it is not ready
            return None
