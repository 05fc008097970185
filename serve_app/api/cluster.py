"""`/cluster`: replicas of both deployments, their load and their certificates."""

from typing import Any

from fastapi import APIRouter

from serve_app.api.gateway import Gateway


def router(gateway: Gateway) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["health"])

    @routes.get("/cluster", summary="The state of both deployments and their replicas")
    async def cluster() -> dict[str, Any]:
        return await gateway.cluster()

    return routes
