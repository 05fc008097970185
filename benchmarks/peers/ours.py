"""This service as `sentiment run` starts it, without the page and with one replica a backend.

Runs in a process of its own, as the alternatives do, so that the load generator is no Ray driver.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from benchmarks.peers.classifier import Given
from serve_app.local_cluster import LocalCluster, free_port
from serve_app.serve_config import BASE, LOCAL, Config, load

PORTS = {
    "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": "32100",
    "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": "32199",
    "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": "42100",
    "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": "42199",
}
"""Of the replicas themselves: away from those of another cluster on the machine."""
START_S = 300.0


def config(given: Given) -> Config:
    """The local configuration with one replica a backend: as many workers as the others have."""
    user = {"workers": given.workers, "threads": given.threads}
    precision = given.graph.stem if given.graph else "prepared"
    deployments = [
        {"name": "TorchClassifier", "user_config": user},
        {"name": "OnnxClassifier", "user_config": {**user, "precision": precision}},
    ]
    for deployment in deployments:
        deployment["autoscaling_config"] = {"max_replicas": 1}
    return load(
        BASE,
        LOCAL,
        {
            "http_options": {"port": given.port},
            "applications": [{"name": "sentiment", "deployments": deployments}],
        },
    )


def serve(applied: Config, model: Path) -> None:
    """Start the cluster and keep it until this process is told to end."""
    ended = threading.Event()
    # Ray's workers import what the configuration names, the benchmark's own stub included.
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    os.environ["PYTHONPATH"] = path
    with LocalCluster(
        applied,
        {"SENTIMENT_MODEL": str(model.resolve()), **PORTS},
        dashboard_port=free_port(),
        logs=False,
    ) as cluster:
        # Ray has handlers of its own, which would end the process before its cluster.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        cluster.wait(START_S, lambda: not ended.is_set())
        ended.wait()


def main() -> int:
    """Serve until SIGTERM."""
    given = Given.read()
    serve(config(given), given.model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
