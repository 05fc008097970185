"""`/health`, `/ready` and `/info`: is it up, can it answer, and what is it."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serve_app.api.errors import NOT_READY_RETRY_S
from serve_app.api.gateway import Gateway
from serve_app.api.guard import needs
from serve_app.api.health_schemas import Health, Info, Ready, Unready
from serve_app.api.openapi import ERROR_HEADERS, REQUEST_ID, problems

VERSIONS = ("ray", "torch", "transformers", "onnxruntime", "fastapi")


def router(gateway: Gateway) -> APIRouter:
    """`/health` and `/ready` are open; `/info` is for clients."""
    routes = APIRouter(tags=["health"])
    # Milliseconds of reading files.
    versions = {name: version(name) for name in ("sentiment-service", *VERSIONS)}

    @routes.get(
        "/health",
        summary="Whether the ingress lives",
        response_model=Health,
        responses={200: {"headers": REQUEST_ID}, **problems(405)},
    )
    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    @routes.get(
        "/ready",
        summary="Whether both backends answer",
        response_model=Ready,
        responses={
            200: {"headers": REQUEST_ID},
            503: {
                "description": "A backend, or all of identity or quota, is away.",
                "model": Unready,
                "headers": {**ERROR_HEADERS[503], **REQUEST_ID},
            },
            **problems(405),
        },
    )
    async def ready() -> Response:
        states = {
            name: "unavailable" if said is None else "ready"
            for name, said in (await gateway.descriptions()).items()
        }
        missing = sorted(name for name, state in states.items() if state != "ready")
        faults = [f"No replica answers: {', '.join(missing)}."] if missing else []
        said: dict[str, Any] = {"backends": states}
        if gateway.identity.required:
            identity = await gateway.identity.states()
            said["identity"] = {name: fault or "ready" for name, (_, fault) in identity.items()}
            if not any(usable for usable, _ in identity.values()):
                faults += [fault for _, fault in identity.values()]
        if gateway.quota.counts:
            lets_in, fault = await gateway.quota.state()
            said["quota"] = fault or "ready"
            faults += [] if lets_in else [fault]
        if not faults:
            return JSONResponse({"status": "ready", **said})
        return JSONResponse(
            {"status": "unavailable", "detail": " ".join(faults), **said},
            503,
            headers={"Retry-After": str(NOT_READY_RETRY_S)},
        )

    @routes.get(
        "/info",
        summary="What model is served, and how",
        response_model=Info,
        openapi_extra=needs(None),
        responses={200: {"headers": REQUEST_ID}, **problems(405)},
    )
    async def info(request: Request) -> Response:
        await gateway.identity.authenticate(request)
        manifest = gateway.manifest
        settings = gateway.settings
        return JSONResponse(
            {
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
                    "max_texts": settings.texts_per_request,
                    "max_body_bytes": settings.max_body_bytes,
                    "max_waiting_texts": settings.max_waiting_texts,
                    "max_waiting_requests": settings.max_waiting_requests,
                    "max_waiting_characters": settings.max_waiting_characters,
                    "timeout_s": settings.timeout_s,
                    "quota": settings.quota,
                },
                "versions": versions,
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
        )

    return routes
