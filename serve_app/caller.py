"""How an ingress calls a backend's replicas: on a link, or by Ray's handle while none is open."""

import asyncio
import logging
import time
from contextvars import Context

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RequestCancelledError,
)
from ray.serve.handle import DeploymentHandle

from serve_app.cluster import ask_replicas
from serve_app.dispatcher import BackendError
from serve_app.lane import Dropped
from serve_app.links import LinkError, Links, RemoteError
from serve_app.messages import Call, Reply
from serve_app.telemetry import CALLS, Telemetry

logger = logging.getLogger("ray.serve")

LOOK_S = 2.0
"""How often Ray is asked for the replicas, while there are calls."""
ATTEMPTS = 3
"""A link may end with its replica, and Ray's router may then still name the same one."""


class Caller:
    """Sends calls to some replica of a deployment. Belongs to one event loop.

    Args:
        handle: of the deployment.
        backend: its name in metrics.
        telemetry: takes which way the calls went.
    """

    def __init__(self, handle: DeploymentHandle, backend: str, telemetry: Telemetry) -> None:
        self._handle = handle
        self._backend = backend
        self._telemetry = telemetry
        self._links = Links()
        self._looked = -LOOK_S
        self._looking: asyncio.Task[None] | None = None

    def linked(self) -> int:
        """Replicas that a link is open to."""
        return len(self._links)

    async def __call__(self, message: Call, dropped: Dropped) -> Reply:
        """
        Args:
            dropped: ends the replica's work on it.

        Raises:
            BackendError: no replica answered.
        """
        for attempt in range(ATTEMPTS):
            if dropped.done():
                raise BackendError("nobody waits for it")
            self._look()
            link = self._links.least_busy()
            way = "handle" if link is None else "link"
            self._telemetry.note(CALLS, backend=self._backend, way=way)
            try:
                if link is not None:
                    return await link.call(message, dropped)
                return await self._by_handle(message, dropped)
            except (RayActorError, LinkError) as error:
                # Ray does not retry what a replica had accepted. Inference is idempotent.
                if attempt == ATTEMPTS - 1:
                    raise BackendError("replicas died while they had the request") from error
            except RayTaskError as error:  # as a text it is the replica's whole traceback
                raise BackendError(str(error.cause) or type(error.cause).__name__) from error
            except RequestCancelledError as error:
                raise BackendError("nobody waits for it") from error
            except (BackPressureError, DeploymentUnavailableError, RemoteError) as error:
                raise BackendError(str(error)) from error
        raise AssertionError("unreachable")

    async def _by_handle(self, message: Call, dropped: Dropped) -> Reply:
        response = self._handle.infer.remote(message)

        def drop(_: object) -> None:
            response.cancel()

        dropped.add_done_callback(drop)
        try:
            reply: Reply = await response
            return reply
        finally:
            dropped.remove_done_callback(drop)

    def _look(self) -> None:
        if self._looking is None and time.monotonic() - self._looked >= LOOK_S:
            # In a context of its own: what it logs is not of the request that came by.
            find = self._find()
            self._looking = asyncio.get_running_loop().create_task(find, context=Context())

    async def _find(self) -> None:
        try:
            addresses = await ask_replicas(self._handle, "address")
            await self._links.reach(address for address in addresses if address is not None)
        except Exception as error:  # the links that there are go on; soon it is tried again
            logger.warning("the replicas did not say where they are: %r", error)
        finally:
            self._looked = time.monotonic()
            self._looking = None
