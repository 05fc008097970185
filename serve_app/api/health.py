"""`/health`, `/ready` and `/info`: is it up, can it answer, and what is it."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from serve_app.api.gateway import Gateway

VERSIONS = ("ray", "torch", "transformers", "onnxruntime", "fastapi")


def router(gateway: Gateway) -> APIRouter:
    """The open routes."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health", summary="Whether the ingress lives")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get(
        "/ready",
        summary="Whether both backends answer",
        responses={503: {"description": "At least one backend does not answer."}},
    )
    async def ready() -> Response:
        states = {
            name: "unavailable" if said is None else "ready"
            for name, said in (await gateway.descriptions()).items()
        }
        missing = sorted(name for name, state in states.items() if state != "ready")
        if not missing:
            return JSONResponse({"status": "ready", "backends": states})
        return JSONResponse(
            {
                "status": "unavailable",
                "detail": f"No replica answers: {', '.join(missing)}.",
                "backends": states,
            },
            503,
            headers={"Retry-After": "5"},
        )

    @routes.get("/info", summary="What model is served, and how")
    async def info() -> dict[str, Any]:
        manifest = gateway.manifest
        settings = gateway.settings
        return {
            "model": {
                "id": manifest.model_id,
                "revision": manifest.revision,
                "licence": manifest.licence,
                "labels": manifest.labels,
                "problem_type": manifest.problem_type,
                "max_length": manifest.max_length,
                "parameters": manifest.parameters,
            },
            "limits": {
                "max_texts": settings.max_texts,
                "max_body_bytes": settings.max_body_bytes,
                "max_waiting_texts": settings.max_waiting_texts,
                "timeout_s": settings.timeout_s,
            },
            "versions": {
                "sentiment-service": version("sentiment-service"),
                **{name: version(name) for name in VERSIONS},
            },
            "prepared_with": manifest.versions,
            "config_hash": gateway.config_hash,
            "measured": {
                "torch_accuracy": manifest.torch_accuracy,
                "auto_threshold": manifest.auto_threshold,
                **{name: record.model_dump() for name, record in manifest.measured.items()},
            },
            "notes": manifest.notes,
            "backends": await gateway.descriptions(),
        }

    return routes
