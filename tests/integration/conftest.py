"""Real Ray Serve applications over real HTTP, each started once for all tests here.

`service` runs as `make run` does; `small` and `guarded` have two ingress replicas.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
import requests
from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

from serve_app.local_cluster import LocalCluster, free_port
from serve_app.serve_config import BASE, LOCAL, Config, load
from tests.integration.beside import Beside
from tests.integration.collector import Collector
from tests.redis_server import BINARY, RedisServer
from tests.refused import Guarded
from tests.signing_issuer import SigningIssuer

QUICK = {
    "autoscaling_config": {
        "upscale_delay_s": 1,
        "downscale_delay_s": 2,
        "look_back_period_s": 2,
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

    def replicas(self, deployment: str) -> dict[int, str]:
        """The state of each replica that has a process, by that."""
        details = ServeSubmissionClient(self.dashboard).get_serve_details()
        replicas = details["applications"]["sentiment"]["deployments"][deployment]["replicas"]
        return {replica["pid"]: replica["state"] for replica in replicas if replica.get("pid")}

    def post(self, path: str, body: object = None, **options: object) -> requests.Response:
        if body is not None:
            options["json"] = body
        return requests.post(self.url + path, timeout=60, **options)  # type: ignore[arg-type]

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=60)


def node_metrics() -> str:
    """The metrics of the node that this process's cluster has, as Prometheus reads them."""
    (node,) = [n for n in ray.nodes() if n["Alive"]]
    return requests.get(f"http://127.0.0.1:{node['MetricsExportPort']}/metrics", timeout=10).text


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


@pytest.fixture(scope="package")
def service(prepared: Path, config: Config) -> Iterator[Service]:
    cpus = max(2, len(os.sched_getaffinity(0)))
    port = config["http_options"]["port"]
    dashboard_port = free_port()
    with LocalCluster(
        config,
        {
            "SENTIMENT_MODEL": str(prepared),
            "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
        },
        dashboard_port=dashboard_port,
        cpus=cpus,
        logs=False,
    ) as cluster:
        cluster.wait(120)
        yield Service(f"http://127.0.0.1:{port}", cluster, f"http://127.0.0.1:{dashboard_port}")


TIMEOUT_S = 3.0
"""Of `small`."""


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


@pytest.fixture(scope="package")
def small(
    prepared: Path, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Beside]:
    """With short patience, whose spans go to `collector`."""
    environment = {
        "SENTIMENT_MODEL": str(prepared),
        "SENTIMENT_TIMEOUT_S": str(TIMEOUT_S),
        "SENTIMENT_AUTO_PATIENCE_S": "0.5",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with Beside(environment, tmp_path_factory.mktemp("small")) as beside:
        yield beside


QUOTA = (30, 4)
"""Texts and seconds."""


@dataclass(frozen=True)
class GuardedService:
    """The application with identity, quotas and two ingress replicas, and what these go by."""

    beside: Beside
    given: Guarded
    redis: RedisServer | None


@pytest.fixture(scope="package")
def guarded(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedService]:
    folder = tmp_path_factory.mktemp("guarded")
    redis = RedisServer() if BINARY else None
    try:
        with SigningIssuer() as issuer:
            given = Guarded(issuer, folder)
            environment = {
                "SENTIMENT_MODEL": str(prepared),
                **{f"SENTIMENT_{name.upper()}": value for name, value in given.settings.items()},
                "SENTIMENT_OIDC_PAUSE_S": "0.2",
                "SENTIMENT_QUOTA": f"{QUOTA[0]}/{QUOTA[1]} seconds",
                **({"SENTIMENT_QUOTA_REDIS": redis.url} if redis else {}),
            }
            with Beside(environment, folder) as beside:
                yield GuardedService(beside, given, redis)
    finally:
        if redis is not None:
            redis.kill()
