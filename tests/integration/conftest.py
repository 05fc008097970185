"""The real application over real HTTP, as `make run` runs it, started once for all tests here.

Tests of other settings stand in a folder for each cluster, so that it ends with them and does not
idle beside the next.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import requests
from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

from serve_app.local_cluster import START_S, LocalCluster, free_port
from serve_app.serve_config import BASE, LOCAL, Config, load
from tests.integration import exported

QUICK = {
    "autoscaling_config": {
        "upscale_delay_s": 1,
        "downscale_delay_s": 2,
        "look_back_period_s": 2,
        "metrics_interval_s": 0.5,
        "target_ongoing_requests": 8,
    },
    "health_check_period_s": 1,
    "health_check_timeout_s": 4,
    "graceful_shutdown_timeout_s": 1,
}


@dataclass(frozen=True)
class Service:
    """The running application."""

    url: str
    cluster: LocalCluster
    dashboard: str
    metrics: str

    def replicas(self, deployment: str) -> list[dict[str, Any]]:
        """What Serve says of each replica that has a process."""
        details = ServeSubmissionClient(self.dashboard).get_serve_details()
        replicas = details["applications"]["sentiment"]["deployments"][deployment]["replicas"]
        return [replica for replica in replicas if replica.get("pid")]

    def post(self, path: str, body: object = None, **options: object) -> requests.Response:
        if body is not None:
            options["json"] = body
        return requests.post(self.url + path, timeout=60, **options)  # type: ignore[arg-type]

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=60)


@pytest.fixture(scope="package")
def config() -> Config:
    """The local configuration on a free port, with delays that a test can wait for."""
    deployments = [{"name": name, **QUICK} for name in ("TorchClassifier", "OnnxClassifier")]
    return load(
        BASE,
        LOCAL,
        {
            "http_options": {"port": free_port()},
            "applications": [{"name": "sentiment", "deployments": deployments}],
        },
    )


def ended(*_: object) -> None:
    """Who starts the cluster hears SIGTERM, as `sentiment run` does."""
    raise KeyboardInterrupt


@pytest.fixture(scope="package")
def sigterm() -> Iterator[None]:
    """Has `ended` in place before Ray starts."""
    before = signal.signal(signal.SIGTERM, ended)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="package")
def service(prepared: Path, config: Config, sigterm: None) -> Iterator[Service]:
    cpus = max(2, len(os.sched_getaffinity(0)))
    port = config["http_options"]["port"]
    dashboard_port = free_port()
    with LocalCluster(
        config,
        {
            "SENTIMENT_MODEL": str(prepared),
            "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
            **exported.QUICKLY,
        },
        dashboard_port=dashboard_port,
        cpus=cpus,
        logs=False,
    ) as cluster:
        cluster.wait(START_S)
        dashboard = f"http://127.0.0.1:{dashboard_port}"
        yield Service(f"http://127.0.0.1:{port}", cluster, dashboard, exported.address())


GOOD = "good warm funny clever lovely fine charming bright".split()
BAD = "dull slow bad weak thin flat long cold".split()


@pytest.fixture(scope="package")
def doubtful(service: Service) -> str:
    """A text about which ONNX is in doubt, whatever the model was trained to: of many, the most."""
    texts = [f"{bad} but {good}" for bad, good in product(BAD, GOOD)]
    texts += [f"It is {good}, but it is {bad}." for bad, good in product(BAD, GOOD)]
    scores = [item["score"] for item in service.post("/onnx/infer", {"input": texts}).json()]
    score, text = min(zip(scores, texts, strict=True))
    threshold = service.get("/info").json()["measured"]["auto_threshold"]
    assert 2 * score - 1 < threshold, "the margin between two labels"
    return text
