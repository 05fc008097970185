"""A Ray cluster of one machine with the application on it: started and ended as one.

`sentiment run`, the container (`scripts/alone`), tests and benchmarks use it. It deploys as KubeRay
does, by the dashboard's REST API, so that what runs here is what the manifests carry.
"""

import asyncio
import contextlib
import os
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from serve_app import tracing
from serve_app.ray_environment import keeping_sigterm, set_environment
from serve_app.serve_config import APPLICATION, Config

OBJECT_STORE_BYTES = 100_000_000
"""Requests are small and travel past the object store; Ray would take a third of the memory."""
MODELS = ("TorchClassifier", "OnnxClassifier")
START_S = 180.0
"""What a slow machine may take until both backends answer."""
FINISH_S = 20.0
"""For requests that are under way when the cluster is stopped."""
FREE_PORTS = range(20_000, 30_000)
"""Outside of what the kernel gives to connections and Ray to workers: a port that is chosen now and
used later could go to one of them meanwhile."""


class ClusterError(Exception):
    """The cluster or the application could not be started; the message is a sentence."""


def free_port() -> int:
    """A port that nobody listens on, of those that neither the kernel nor Ray gives to others.

    Raises:
        ClusterError: there is none.
    """
    for port in random.sample(FREE_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ClusterError("No port is free.")


class LocalCluster:
    """Ray head, dashboard and Serve in processes of their own, below one temporary folder.

    Args:
        config: the Serve configuration; its `http_options` say where the API listens.
        environment: what the replicas find in theirs.
        dashboard_port: of the Ray dashboard, which listens on loopback.
        cpus: that Ray may reserve; all of the machine's if None.
        logs: whether the replicas' logs come out here.
    """

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        *,
        dashboard_port: int = 8265,
        cpus: int | None = None,
        logs: bool = True,
    ) -> None:
        self._config = config
        self._environment = dict(environment)
        self._dashboard_port = dashboard_port
        self._cpus = cpus
        self._logs = logs
        self._up = False
        # Ray and HAProxy put sockets below it, whose paths may have 97 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="sent-", dir="/tmp"))

    def __enter__(self) -> "LocalCluster":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def processes(self) -> list[psutil.Process]:
        """Every process of the cluster, HAProxy included."""
        mine = [p for p in psutil.Process().children(recursive=True) if self._is_ray(p)]
        # A reloaded HAProxy is no child of ours any more, but its configuration is in our folder.
        strays = [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(str(self._folder) in part for part in process.info["cmdline"] or ())
        ]
        return list({process.pid: process for process in (*mine, *strays)}.values())

    def wait(self, seconds: float, going_on: Callable[[], bool] = lambda: True) -> bool:
        """Wait until the application runs; False if `going_on` says to give up.

        Raises:
            ClusterError: it failed to deploy, or did not get there in time.
        """
        from ray import serve
        from ray.serve.schema import ApplicationStatus

        deadline = time.monotonic() + seconds
        while going_on():
            status = serve.status().applications.get(APPLICATION)
            if status is not None:
                if status.status == ApplicationStatus.RUNNING:
                    self._up = True
                    return True
                if status.status == ApplicationStatus.DEPLOY_FAILED:
                    raise ClusterError(f"The application could not be started: {_why(status)}")
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"The application is not up after {seconds:.0f} s: {_state(status)}"
                )
            time.sleep(0.1)
        return False

    def stop(self) -> None:
        """End everything that was started. Safe to call twice."""
        import ray
        from ray import serve

        processes = self.processes
        try:
            if ray.is_initialized():
                if self._up:
                    asyncio.run(_shut_down_when_quiet())
                else:
                    serve.shutdown()
        finally:
            ray.shutdown()
            processes += [p for p in self.processes if p not in processes]
            for process in psutil.wait_procs(processes, timeout=5)[1]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _is_ray(self, process: psutil.Process) -> bool:
        try:
            command: str = " ".join(process.cmdline())
        except psutil.Error:
            return False
        return command.startswith("ray") or str(self._folder) in command

    def _start(self) -> None:
        set_environment()
        os.environ.update(
            {
                "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(self._folder / "haproxy.cfg"),
                "RAY_SERVE_HAPROXY_SOCKET_PATH": str(self._folder / "h.sock"),
                "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(self._folder),
                "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(self._folder / "haproxy.state"),
                "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
                "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
                "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
                "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(free_port()),
                **self._environment,
            }
        )
        os.environ.update(tracing.environment(os.environ))
        import ray
        from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

        port = self._dashboard_port
        with keeping_sigterm():
            ray.init(
                address="local",
                num_cpus=self._cpus,
                include_dashboard=True,
                dashboard_host="127.0.0.1",
                dashboard_port=port,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=self._logs,
                logging_level="WARNING",
                configure_logging=True,
                _temp_dir=str(self._folder),
                namespace="serve",
            )
        client = ServeSubmissionClient(f"http://127.0.0.1:{port}")
        client.deploy_applications(self._config)


async def _shut_down_when_quiet() -> None:
    """End the application once no model has texts in hand, so that requests are answered first."""
    from ray import serve

    from serve_app.cluster import texts_in_hand

    handles = {name: serve.get_deployment_handle(name, APPLICATION) for name in MODELS}
    deadline = time.monotonic() + FINISH_S
    quiet = 0
    while quiet < 2 and time.monotonic() < deadline:  # between two calls there are none either
        quiet = 0 if await texts_in_hand(handles) else quiet + 1
        await asyncio.sleep(0.05)
    await asyncio.to_thread(serve.delete, APPLICATION)  # the ingress ends what it is answering
    await serve.shutdown_async()


def _state(status: Any) -> str:
    """How far each deployment is, and why where Serve says it."""
    if status is None:
        return "it is not deployed yet"
    states = [f"{name} {each.status.value}" for name, each in status.deployments.items()]
    return f"{', '.join([f'it is {status.status.value}', *states])}; {_why(status)}"


def _why(status: Any) -> str:
    """The last line of what Serve says of a failed deployment: the exception itself."""
    messages = [status.message, *(d.message for d in status.deployments.values())]
    lines = [line.strip() for message in messages for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line.split(":")[0]]
    reason: str = (errors or lines or ["no reason given"])[-1]
    return reason
