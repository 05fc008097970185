"""The ingress deployment: Ray Serve's edge of the API, and what joins the API to the backends."""

import gc
import logging
import os

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app.api.app import create_app
from serve_app.api.gateway import Gateway
from serve_app.api.shared import Shared
from serve_app.auto import Auto
from serve_app.caller import Caller
from serve_app.cluster import serve_status, snapshot
from serve_app.dispatcher import Dispatcher
from serve_app.engine.artifacts import Artifacts
from serve_app.log import RateLimit
from serve_app.settings import Settings
from serve_app.shadow import Shadow
from serve_app.telemetry import RayTelemetry

logger = logging.getLogger("ray.serve")

GC_THRESHOLDS = (10_000, 20, 1000)
"""Of the ingress. Thousands of waiting requests are as many objects as make Python's defaults walk
all of them again and again, for hundreds of milliseconds in which nobody is answered."""


class Ingress:
    """Everything a client sees."""

    def __init__(self, model: str, torch: DeploymentHandle, onnx: DeploymentHandle) -> None:
        logger.addFilter(RateLimit(logger))
        settings = Settings()
        name = serve.get_replica_context().replica_id.unique_id
        manifest = Artifacts(model, verify=False).manifest
        handles = {"transformers": torch, "onnx": onnx}
        telemetry = RayTelemetry()
        callers = {
            backend: Caller(handle, backend, telemetry) for backend, handle in handles.items()
        }
        dispatchers = {
            backend: Dispatcher(
                caller,
                backend=backend,
                ingress=name,
                texts_per_call=settings.texts_per_call,
                calls_per_replica=settings.calls_per_replica,
                max_texts=settings.max_waiting_texts,
                max_requests=settings.max_waiting_requests,
                max_characters=settings.max_waiting_characters,
                linked=caller.linked,
            )
            for backend, caller in callers.items()
        }
        threshold = settings.auto_threshold
        auto = Auto(
            dispatchers["onnx"],
            dispatchers["transformers"],
            manifest.problem_type,
            threshold=(manifest.auto_threshold or 0.0) if threshold is None else threshold,
            patience=settings.auto_patience_s,
            telemetry=telemetry,
        )
        # While the controller is away each question holds a thread, of a few: one at a time.
        status = Shared(serve_status, 0)
        self._gateway = Gateway(
            settings=settings,
            manifest=manifest,
            config_hash="",
            dispatchers={**dispatchers, "auto": auto},
            describe={name: handle.describe.remote for name, handle in handles.items()},
            telemetry=telemetry,
            shadow=Shadow(
                dispatchers,
                manifest.problem_type,
                telemetry,
                share=settings.shadow_share,
                bound=settings.shadow_bound,
            ),
            snapshot=lambda: snapshot(status.get, handles, dispatchers),
        )
        gc.set_threshold(*GC_THRESHOLDS)
        logger.info("ingress %s in process %d", name, os.getpid())

    def reconfigure(self, config: dict[str, str]) -> None:
        """Take a changed `user_config`: the hash of the Serve configuration that is applied."""
        self._gateway.config_hash = config["config_hash"]

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._gateway)
