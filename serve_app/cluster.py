"""The state of both deployments, as `/cluster` shows it: Serve's view and the replicas' own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ray import serve
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ReplicaState, ServeStatus

from serve_app.dispatcher import Dispatcher
from serve_app.serve_config import APPLICATION

TIMEOUT_S = 5.0


async def serve_status() -> ServeStatus:
    """Serve's own view. Blocks a thread for as long as the controller is away."""
    return await asyncio.to_thread(serve.status)


async def snapshot(
    ask: Callable[[], Awaitable[ServeStatus]],
    handles: Mapping[str, DeploymentHandle],
    dispatchers: Mapping[str, Dispatcher],
) -> dict[str, Any]:
    """Replicas, load and certificates of each backend.

    Args:
        ask: `serve_status`.
        handles: of the model deployments, by backend.
        dispatchers: this ingress's, by backend.
    """
    status = await ask()
    deployments = status.applications[APPLICATION].deployments
    described = await asyncio.gather(*(_replicas(handle) for handle in handles.values()))
    result = {}
    for (backend, handle), replicas in zip(handles.items(), described, strict=True):
        states = deployments[handle.deployment_name].replica_states
        result[backend] = {
            "deployment": handle.deployment_name,
            "status": deployments[handle.deployment_name].status.value,
            "target": sum(n for state, n in states.items() if state != ReplicaState.STOPPING),
            "running": states.get(ReplicaState.RUNNING, 0),
            "waiting_texts": dispatchers[backend].waiting,
            "ongoing_requests": dispatchers[backend].requests,
            "replicas": replicas,
        }
    return {"at": datetime.now(UTC).isoformat(), "deployments": result}


async def texts_in_hand(handles: Mapping[str, DeploymentHandle]) -> int:
    """Texts that the replicas of all deployments have and have not answered."""
    described = await asyncio.gather(*(_replicas(handle) for handle in handles.values()))
    return sum(replica["texts"] for replicas in described for replica in replicas)


async def ask_replicas(handle: DeploymentHandle, method: str) -> list[Any]:
    """What every replica of a deployment answers; one that is just dying is left out.

    Raises:
        TimeoutError: one does not answer, and with it none is heard.
        RuntimeError: the deployment is gone.
        RayServeException: Serve has given its replicas up.
    """
    said = await handle.broadcast(method).results_async(timeout_s=TIMEOUT_S, return_exceptions=True)
    return [answer for answer in said if not isinstance(answer, BaseException)]


async def _replicas(handle: DeploymentHandle) -> list[dict[str, Any]]:
    try:
        said = await ask_replicas(handle, "describe")
    except (TimeoutError, RuntimeError, RayServeException):
        return []
    replicas = [
        {
            "id": replica["replica"],
            "node": replica["node"],
            "texts": replica["texts"],
            "precision": replica["precision"],
            "certificate": replica["certificate"],
        }
        for replica in said
    ]
    return sorted(replicas, key=lambda replica: str(replica["id"]))
