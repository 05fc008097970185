"""Core kinds against the API's schema, Ray's kinds against the operator's CRDs, pods as pods."""

from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from kuberay.manifests import Manifest, the
from tests.manifests.conftest import pod_templates

KUBERNETES = "1.35"
CUSTOM = {"RayService", "PodMonitor", "PrometheusRule"}


def test_core_kinds(manifests: list[Manifest]) -> None:
    checked = 0
    for manifest in manifests:
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
            checked += 1
    assert checked > 10


def test_pods_inside_every_kind(manifests: list[Manifest]) -> None:
    seen = []
    for name, template in [t for manifest in manifests for t in pod_templates(manifest)]:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "pod", **template["metadata"]},
            "spec": template["spec"],
        }
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        seen.append(name)
    assert seen == [
        "Deployment/page",
        "StatefulSet/redis",
        "RayService/sentiment/head",
        "RayService/sentiment/workers",
    ]


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as the API server applies it to fields that it does not know: refused."""
    if isinstance(schema.get("properties"), dict):
        schema = {**schema, "properties": {k: closed(v) for k, v in schema["properties"].items()}}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema["additionalProperties"] = False
    if isinstance(schema.get("items"), dict):
        schema = {**schema, "items": closed(schema["items"])}
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
    return schema


@pytest.fixture(scope="module")
def schema(crds: Path) -> dict[str, Any]:
    crd = yaml.load(
        (crds / "ray.io_rayservices.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    (version,) = [v for v in crd["spec"]["versions"] if v["name"] == "v1"]
    found: dict[str, Any] = closed(version["schema"]["openAPIV3Schema"])
    found["properties"]["metadata"] = {"type": "object"}
    return found


def test_ray_service_against_the_crd(manifests: list[Manifest], schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(the(manifests, "RayService"))


def test_the_crd_refuses_a_misspelt_field(
    manifests: list[Manifest], schema: dict[str, Any]
) -> None:
    service = the(manifests, "RayService")
    wrong = {**service, "spec": {**service["spec"], "upgradeStrategie": {"type": "NewCluster"}}}
    with pytest.raises(jsonschema.ValidationError, match="upgradeStrategie"):
        jsonschema.Draft202012Validator(schema).validate(wrong)
