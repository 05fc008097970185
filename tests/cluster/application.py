"""The Serve configurations of the rendered overlays, started for real, one after the other.

A program, since one process can be linked to one Ray cluster; it prints a line of JSON an overlay:
`python -m tests.cluster.application MODEL_FOLDER`. Of a configuration only host and port are
changed, and both ingresses of EKS may run on the one node that there is. Ray is told of as many
CPUs as the smallest EKS cluster has: replicas reserve them by number, and share the real cores.
"""

import json
import sys
import time
from typing import Any

import requests
import yaml

from kuberay.manifests import Manifest, overlays, ray_cpus, render, the
from serve_app.local_cluster import START_S, LocalCluster, free_port
from serve_app.ray_environment import set_environment
from serve_app.serve_config import hash_of, with_hash
from tests.manifests.conftest import ACCOUNT, IMAGES

PORTS = {
    "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": "31200",
    "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": "31299",
    "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": "41200",
    "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": "41299",
}
"""Of the replicas themselves; other tests' clusters have other ranges."""


def serve_config(service: Manifest, port: int) -> dict[str, Any]:
    """What the operator would apply, on loopback."""
    config: dict[str, Any] = yaml.safe_load(service["spec"]["serveConfigV2"])
    config["http_options"] |= {"host": "127.0.0.1", "port": port}
    for deployment in config["applications"][0]["deployments"]:
        deployment.pop("max_replicas_per_node", None)
    return with_hash(config)


def ask(url: str, config: dict[str, Any]) -> dict[str, Any]:
    """What both routes say, once it is this configuration that answers."""
    digest = hash_of(config)
    deadline = time.monotonic() + START_S
    while requests.get(f"{url}/info", timeout=30).json()["config_hash"] != digest:
        assert time.monotonic() < deadline, "another configuration still answers"
        time.sleep(0.2)
    return {
        route: requests.post(
            f"{url}/{route}/infer", json={"input": "A lovely film."}, timeout=30
        ).json()[0]["label"]
        for route in ("transformers", "onnx")
    }


def main(model: str) -> None:
    set_environment()
    services = {name: the(render(name, IMAGES, ACCOUNT), "RayService") for name in overlays()}
    (group,) = services["eks"]["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    cpus = group["minReplicas"] * ray_cpus(group)
    port, dashboard = free_port(), free_port()
    configs = {name: serve_config(service, port) for name, service in services.items()}
    first = next(iter(configs.values()))
    environment = {"SENTIMENT_MODEL": model, **PORTS}
    with LocalCluster(first, environment, dashboard_port=dashboard, cpus=cpus, logs=False) as made:
        from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

        for name, config in configs.items():
            if config is not first:
                client = ServeSubmissionClient(f"http://127.0.0.1:{dashboard}")
                client.deploy_applications(config)
            made.wait(START_S)
            said = ask(f"http://127.0.0.1:{port}", config)
            print(json.dumps({"overlay": name, "labels": said}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
