"""Whatever can be known to go wrong with a deployment before anything is changed."""

import shutil
import subprocess

from kuberay.kubectl import APPLY, NAMESPACE, DeployError, as_json, get, kubectl
from kuberay.manifests import Manifest, as_cpus, ray_cpus, the

SECRETS = {
    "ray-auth-token": "auth_token",
    "redis": "password",
    "api-keys": "api-keys",
    "page": "api-key",
}
INSTANCE_CPU = "karpenter.k8s.aws/instance-cpu"


def check(overlay: str, images: list[str], manifests: list[Manifest]) -> None:
    """Look at secrets, images, room and the API server's own dry run.

    Raises:
        DeployError: with a sentence.
    """
    missing = [f"{name} (key {key})" for name, key in SECRETS.items() if not _has(name, key)]
    if missing:
        raise DeployError(
            f"The namespace {NAMESPACE} lacks the secrets {', '.join(missing)}:"
            " docs/operations.md says how to make them."
        )
    for image in images:
        if "/" in image:
            _require_image(image)
        if overlay == "eks" and "@sha256:" not in image:
            raise DeployError(f"{image} is not named by digest.")
    _refuse_small_cluster(overlay, manifests)
    try:
        kubectl(*APPLY, "--dry-run=server", given=manifests)
    except DeployError as error:
        raise DeployError(f"The API server refuses it: {error}.") from None


def _refuse_small_cluster(overlay: str, manifests: list[Manifest]) -> None:
    (group,) = the(manifests, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    if overlay == "eks":
        pool = get("nodepool", "workers", namespaced=False)
        if pool is None:
            raise DeployError(
                "There is no node pool `workers`: apply kuberay/eks/nodepools.yaml first."
            )
        # Two clusters stand beside each other while one takes over from the other.
        need = (group["maxReplicas"] + group["minReplicas"]) * _machine_cpus(pool)
        have = float(pool["spec"]["limits"]["cpu"])
        if have < need:
            raise DeployError(
                f"The node pool `workers` may grow to {have:g} CPUs, and {need} are needed while an"
                " upgrade is under way: raise limits.cpu in kuberay/eks/nodepools.yaml and apply"
                " that file."
            )
        return
    nodes = as_json("get", "nodes")["items"]
    have = sum(as_cpus(node["status"]["allocatable"]["cpu"]) for node in nodes)
    need = group["minReplicas"] * ray_cpus(group) + 1
    if have < need:
        raise DeployError(f"The cluster has {have:g} CPUs and {need} are needed.")


def _has(secret: str, key: str) -> bool:
    found = get("secret", secret)
    return found is not None and bool(found.get("data", {}).get(key))


def _machine_cpus(pool: Manifest) -> int:
    """Of the largest machine that the pool may make: its limit counts whole machines."""
    requirements = pool["spec"]["template"]["spec"]["requirements"]
    (sizes,) = [r["values"] for r in requirements if r["key"] == INSTANCE_CPU]
    return max(map(int, sizes))


def _require_image(image: str) -> None:
    docker = shutil.which("docker")
    if docker is None:
        raise DeployError("docker is needed to look whether the images exist.")
    command = [docker, "buildx", "imagetools", "inspect", image]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or "docker does not say why").splitlines()[-1]
        raise DeployError(f"There is no image {image}, or it cannot be seen from here: {said}.")
