"""`/cluster`: replicas of both deployments, their load and their certificates."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serve_app.api.errors import not_ready
from serve_app.api.gateway import Gateway
from serve_app.api.guard import needs
from serve_app.api.health_schemas import Cluster
from serve_app.api.openapi import REQUEST_ID, problems


def router(gateway: Gateway) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["health"])

    @routes.get(
        "/cluster",
        summary="The state of both deployments and their replicas",
        response_model=Cluster,
        responses={200: {"headers": REQUEST_ID}, **problems(405, 503)},
        openapi_extra=needs("cluster"),
    )
    async def cluster(request: Request) -> Response:
        await gateway.identity.authenticate(request, scope="cluster")
        try:
            return JSONResponse(await gateway.cluster())
        except TimeoutError:
            raise not_ready("Serve does not say how its deployments are.") from None

    return routes
