"""Pods keep the `restricted` profile, and hold what they ask for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from kuberay.manifests import Manifest, ray_cpus, serve_config, the
from serve_app.settings import Settings
from tests.manifests.conftest import pod_templates
from tests.manifests.test_render import quantity

ALLOWED_VOLUMES = {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}


@pytest.fixture(scope="session")
def pods(manifests: list[Manifest]) -> dict[str, dict[str, Any]]:
    return {
        name: template["spec"]
        for manifest in manifests
        for name, template in pod_templates(manifest)
    }


def containers(pods: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods.items():
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            yield f"{name}/{container['name']}", container


def test_pods(pods: dict[str, dict[str, Any]]) -> None:
    for name, pod in pods.items():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        for volume in pod.get("volumes", []):
            assert set(volume) - {"name"} <= ALLOWED_VOLUMES, (name, volume)


def test_containers(pods: dict[str, dict[str, Any]]) -> None:
    for name, container in containers(pods):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert context["readOnlyRootFilesystem"] is True, name
        assert not context.get("privileged"), name
        assert not [p for p in container.get("ports", []) if "hostPort" in p], name


def test_memory_is_what_is_asked_for(pods: dict[str, dict[str, Any]]) -> None:
    for name, container in containers(pods):
        resources = container["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"], name
        assert "cpu" in resources["requests"], name


def test_only_the_head_has_a_token(pods: dict[str, dict[str, Any]]) -> None:
    for name, pod in pods.items():
        assert pod.get("automountServiceAccountToken", True) is name.endswith("/head"), name


def test_what_may_not_write_has_somewhere_to(pods: dict[str, dict[str, Any]]) -> None:
    for name, container in containers(pods):
        assert "/tmp" in [mount["mountPath"] for mount in container["volumeMounts"]], name


def test_logs_and_uploads_fit_into_tmp(
    pods: dict[str, dict[str, Any]], manifests: list[Manifest], overlay: str
) -> None:
    (group,) = the(manifests, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    (application,) = serve_config(overlay)["applications"]
    sizes = [each["ray_actor_options"]["num_cpus"] for each in application["deployments"]]
    # The proxy and the controller log as replicas do, and one that is replaced leaves its files.
    processes = 2 * (ray_cpus(group) / min(sizes) + 2)
    looked_at = 0
    for name, pod in pods.items():
        if "RayService" not in name:
            continue
        (tmp,) = [each["emptyDir"] for each in pod["volumes"] if each["name"] == "tmp"]
        for container in pod["containers"]:
            variables = {each["name"]: each.get("value") for each in container["env"]}
            files = 1 + int(variables["RAY_ROTATION_BACKUP_COUNT"])
            logs = processes * files * int(variables["RAY_ROTATION_MAX_BYTES"])
            assert logs + Settings().max_spools_bytes < quantity(tmp["sizeLimit"]), name
            looked_at += 1
    assert looked_at == 3


def test_ray_reads_the_rotation_by_these_names() -> None:
    for file in ("_private/node.py", "autoscaler/_private/kuberay/run_autoscaler.py"):
        source = (Path(ray.__file__).parent / file).read_text(encoding="utf-8")
        for name in ("RAY_ROTATION_MAX_BYTES", "RAY_ROTATION_BACKUP_COUNT"):
            assert f'"{name}"' in source, file
