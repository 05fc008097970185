"""A second cluster, in a process of its own, for tests of other settings than the session's.

One process can be linked to one Ray cluster, so `Beside` starts this module as a program: it reads
its settings as JSON, says `READY` with what a test must know, and ends when its input does.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import requests

from serve_app.local_cluster import START_S, LocalCluster, free_port
from serve_app.ray_environment import set_environment
from serve_app.serve_config import BASE, LOCAL, ROOT, load
from tests.integration import exported

FIRST, LAST = 31100, 31199
PORTS = {
    "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(FIRST),
    "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(LAST),
    "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": "41100",
    "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": "41199",
}
"""Of the replicas themselves; the session's cluster has the range that Ray takes by default."""
DEPLOYMENTS = [
    {"name": "Ingress", "num_replicas": 2, "ray_actor_options": {"num_cpus": 0.1}},
    *(
        {
            "name": name,
            "graceful_shutdown_timeout_s": 1,
            "ray_actor_options": {"num_cpus": 0.2},
            "autoscaling_config": {"max_replicas": 1},
        }
        for name in ("TorchClassifier", "OnnxClassifier")
    ),
]


@dataclass(frozen=True)
class Replica:
    """One of the ingress replicas."""

    pid: int
    url: str
    """Its own address, past the proxy."""


class Beside:
    """The running application with two ingress replicas.

    Args:
        environment: of the replicas.
        folder: for the cluster's own output.
    """

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = environment
        self._output = folder / "beside.log"

    def __enter__(self) -> "Beside":
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.beside"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=ROOT,
                text=True,
            )
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(self._environment) + "\n")
            self._process.stdin.flush()
            for line in self._process.stdout:
                if line.startswith("READY "):
                    said = json.loads(line.removeprefix("READY "))
                    break
            else:
                raise AssertionError(self._output.read_text()[-5000:])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.url: str = said["url"]
        self.logs = Path(said["logs"])
        self.metrics: str = said["metrics"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:  # the next one needs its ports
            for process in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.kill()
            raise

    @property
    def replicas(self) -> list[Replica]:
        """The ingress replicas, each with the port it answers on itself."""
        found = []
        for process in self.processes("Ingress"):
            with suppress(psutil.NoSuchProcess):  # it is just dying
                connections = process.net_connections("tcp")
                ports = {c.laddr.port for c in connections if c.status == "LISTEN"}
                own = [port for port in ports if FIRST <= port <= LAST]
                found += [Replica(process.pid, f"http://127.0.0.1:{port}") for port in own]
        return found

    def processes(self, deployment: str) -> list[psutil.Process]:
        """Those of a deployment's replicas."""
        name = f"ray::ServeReplica:sentiment:{deployment}"
        found = []
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if " ".join(child.cmdline()).startswith(name):
                    found.append(child)
        return found

    def text_of_logs(self) -> str:
        """Everything that the replicas have logged."""
        files = sorted(self.logs.rglob("*.log"))
        return "\n".join(file.read_text(errors="replace") for file in files)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **options)

    def post(self, path: str, body: object, **options: Any) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=60, **options)


def _logs_of(cluster: LocalCluster) -> Path:
    return cluster._folder / "session_latest" / "logs"


def main() -> None:
    set_environment()
    os.environ.update(PORTS)
    environment = {**exported.QUICKLY, **json.loads(sys.stdin.readline())}
    port = free_port()
    config = load(
        BASE,
        LOCAL,
        {
            "http_options": {"port": port},
            "applications": [{"name": "sentiment", "deployments": DEPLOYMENTS}],
        },
    )
    cluster = LocalCluster(config, environment, dashboard_port=free_port(), cpus=2, logs=False)
    with cluster:
        cluster.wait(START_S)
        said = {
            "url": f"http://127.0.0.1:{port}",
            "logs": str(_logs_of(cluster)),
            "metrics": exported.address(),
        }
        print("READY", json.dumps(said), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
