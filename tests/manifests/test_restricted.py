"""Pods keep the `restricted` profile, and hold what they ask for."""

from collections.abc import Iterator
from typing import Any

import pytest

from serve_app.jobs.manifests import Manifest
from tests.manifests.conftest import pod_templates

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
