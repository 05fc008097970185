"""The rendered overlays, each made once."""

import os
from pathlib import Path
from typing import Any

import pytest

from kuberay.manifests import Manifest, overlays, render

ACCOUNT = {
    "CERTIFICATE_ARN": "arn:aws:acm:eu-central-1:111122223333:certificate/0a1b2c3d",
    "API_SOURCE_RANGES": "198.51.100.0/24",
    "PAGE_SOURCE_RANGES": "10.0.0.0/8",
    "API_HOST": "api.example.com",
}
SERVES = {"ray.io/serve": "true"}
"""What KubeRay selects a RayService's pods by, beside the cluster's name."""
DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGES = {
    name: f"111122223333.dkr.ecr.eu-central-1.amazonaws.com/{name}@{DIGEST}"
    for name in ("sentiment-serve", "sentiment-ui")
}


@pytest.fixture(scope="session", params=overlays())
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def manifests(overlay: str) -> list[Manifest]:
    return render(overlay, IMAGES, ACCOUNT)


@pytest.fixture(scope="session")
def crds() -> Path:
    """The operator's CRDs, from SENTIMENT_TEST_CRDS."""
    folder = os.environ.get("SENTIMENT_TEST_CRDS")
    if not folder:
        pytest.skip("SENTIMENT_TEST_CRDS names no folder with the operator's CRDs")
    return Path(folder)


def pod_templates(manifest: Manifest) -> list[tuple[str, dict[str, Any]]]:
    """Every pod template of a manifest with what it is called, those inside Ray's kinds too."""
    spec = manifest.get("spec", {})
    name = f"{manifest['kind']}/{manifest['metadata']['name']}"
    if manifest["kind"] == "RayService":
        cluster = spec["rayClusterConfig"]
        return [
            (f"{name}/head", as_operator(cluster, cluster["headGroupSpec"]["template"])),
            *(
                (f"{name}/{group['groupName']}", served(group["template"]))
                for group in cluster["workerGroupSpecs"]
            ),
        ]
    return [(name, spec["template"])] if "template" in spec else []


def served(template: dict[str, Any]) -> dict[str, Any]:
    """A worker with the label by which the operator's Service finds it."""
    labels = {**template["metadata"]["labels"], **SERVES}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def as_operator(cluster: dict[str, Any], template: dict[str, Any]) -> dict[str, Any]:
    """The head with the autoscaler beside it, as the operator makes it of `autoscalerOptions`."""
    ray = template["spec"]["containers"][0]
    options = {k: v for k, v in cluster["autoscalerOptions"].items() if k in AUTOSCALER}
    autoscaler = {"name": "autoscaler", "image": ray["image"], **options}
    return {
        **template,
        "spec": {**template["spec"], "containers": [ray, autoscaler]},
    }


AUTOSCALER = ("resources", "securityContext", "volumeMounts", "env", "envFrom")
