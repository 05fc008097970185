"""What `make manifests` makes, and what it refuses before anything changes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuberay import manifests as module
from kuberay.manifests import Manifest, ManifestError, main, overlays, render, the
from serve_app.serve_config import ROOT, with_hash
from tests.manifests.conftest import ACCOUNT, IMAGES, pod_templates


def test_every_overlay_renders(manifests: list[Manifest]) -> None:
    kinds = {manifest["kind"] for manifest in manifests}
    assert {"RayService", "StatefulSet", "Deployment", "NetworkPolicy"} <= kinds
    assert not re.search(r"\$\{[A-Z_]+\}", yaml.safe_dump_all(manifests))


def test_all_is_in_one_namespace(manifests: list[Manifest]) -> None:
    names = {manifest["metadata"].get("namespace") for manifest in manifests}
    assert names == {"sentiment"}


def test_serve_config_is_that_of_the_repository(manifests: list[Manifest], overlay: str) -> None:
    applied = yaml.safe_load(the(manifests, "RayService")["spec"]["serveConfigV2"])
    config = module.serve_config(overlay)
    assert applied == config
    assert applied == with_hash(applied)


def test_eks_serves_what_serve_config_says() -> None:
    base = yaml.safe_load((ROOT / "serve_config.yaml").read_text(encoding="utf-8"))
    config = module.serve_config("eks")
    ingress = config["applications"][0]["deployments"][0]
    # On workers of their own; nothing else differs.
    assert ingress.pop("max_replicas_per_node") == 1
    assert with_hash(config) == with_hash(base)


def test_ray_version_is_the_locked_one(manifests: list[Manifest]) -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    version = the(manifests, "RayService")["spec"]["rayClusterConfig"]["rayVersion"]
    assert f"\nray=={version}\n" in lock


def test_workers_hold_every_replica_with_headroom(manifests: list[Manifest], overlay: str) -> None:
    (group,) = the(manifests, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    config = module.serve_config(overlay)
    cpus = module.ray_cpus(group)
    assert group["maxReplicas"] >= module.workers_needed(config, cpus, most=True)
    assert group["minReplicas"] == group["replicas"]
    if overlay == "eks":
        assert group["maxReplicas"] == module.workers_needed(config, cpus, most=True) + 1
        # Ten of each and both ingresses, in CPUs.
        assert group["maxReplicas"] * cpus >= 10 * 2 + 10 * 2 + 2 * 1
        # Warm headroom: four more model replicas than the smallest number.
        assert group["minReplicas"] * cpus - (2 + 2 + 2 * 1) >= 4 * 2


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number."""
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30}[unit]


def test_two_local_clusters_fit_beside_each_other() -> None:
    """While an upgrade is under way; 4 cores and 16 GB, less what Kubernetes itself asks for."""
    cpu, memory = 0.0, 0.0
    for manifest in render("local", IMAGES, {}):
        for _, template in pod_templates(manifest):
            for container in template["spec"]["containers"]:
                requests = container["resources"]["requests"]
                times = 2 if manifest["kind"] == "RayService" else 1
                cpu += times * quantity(requests["cpu"])
                memory += times * quantity(requests["memory"])
    assert cpu <= 4 - 1
    assert memory <= 16e9 - 1.5e9


@pytest.mark.parametrize(("cpus", "most", "least"), [(7, 7, 2), (4, 11, 2), (2, 22, 4), (16, 3, 2)])
def test_workers_needed_is_the_worst_packing(cpus: int, most: int, least: int) -> None:
    config = module.serve_config("eks")
    assert module.workers_needed(config, cpus, most=True) == most
    assert module.workers_needed(config, cpus, most=False) == least


@pytest.mark.parametrize(
    ("overlay", "images", "environment", "sentence"),
    [
        ("production", {}, ACCOUNT, "no overlay 'production': take eks or local"),
        ("eks", {}, {**ACCOUNT, "API_HOST": ""}, "needs API_HOST in the environment"),
        ("eks", {}, {}, "API_HOST, API_SOURCE_RANGES, CERTIFICATE_ARN"),
        ("local", {"sentiment-serve": "Not An Image"}, {}, "'Not An Image' is no name of an image"),
        ("local", {"sentiment-ui": "x@sha256:12"}, {}, "is no name of an image"),
    ],
)
def test_refuses_with_a_sentence(
    overlay: str, images: dict[str, str], environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ManifestError, match=re.escape(sentence)):
        render(overlay, images, environment)


def test_refuses_too_little_capacity(monkeypatch: pytest.MonkeyPatch) -> None:
    config = module.serve_config("eks")
    config["applications"][0]["deployments"][1]["autoscaling_config"]["max_replicas"] = 30
    monkeypatch.setattr(module, "serve_config", lambda overlay: config)
    with pytest.raises(ManifestError, match=r"maxReplicas of the workers is 8, .* need 14 workers"):
        render("eks", IMAGES, ACCOUNT)


def test_refuses_a_replica_that_fits_on_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    config = module.serve_config("eks")
    config["applications"][0]["deployments"][1]["ray_actor_options"]["num_cpus"] = 8
    monkeypatch.setattr(module, "serve_config", lambda overlay: config)
    with pytest.raises(ManifestError, match="replica of 8 CPUs fits on no worker of 7: lower"):
        render("eks", IMAGES, ACCOUNT)


@pytest.mark.parametrize("cpu", ["1.5", "1500m", "2", "2000m"])
def test_a_part_of_a_cpu_counts_as_a_whole_one(cpu: str) -> None:
    container = {"resources": {"requests": {"cpu": cpu}}}
    group = {"rayStartParams": {}, "template": {"spec": {"containers": [container]}}}
    assert module.ray_cpus(group) == 2


def test_a_configuration_that_does_not_do_is_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "kustomization.yaml").write_text("")
    (tmp_path / "own" / "serve_config.yaml").write_text("applications:\n- name: other\n")
    monkeypatch.setattr(module, "OVERLAYS", tmp_path)
    assert main(["own"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("manifests: ")
    assert "the override names 'other', which is not in the base." in said


def test_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "made" / "local.yaml"
    assert main(["local", "--serve", "a/b:1", "--output", str(output)]) == 0
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(output.read_text(encoding="utf-8")))
    assert len(documents) == len(render("local", {}, {}))
    assert "a/b:1" in output.read_text(encoding="utf-8")
    assert main(["nowhere"]) == 1
    assert "no overlay 'nowhere'" in capsys.readouterr().err


def test_overlays_are_the_two_that_are_documented() -> None:
    assert overlays() == ["eks", "local"]
