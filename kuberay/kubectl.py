"""The cluster as kubectl shows it and changes it."""

import json
import subprocess
from typing import Any

import yaml

from kuberay.manifests import Manifest

NAMESPACE = "sentiment"
APPLY = ("apply", "--server-side", "--force-conflicts", "-f", "-")
"""The manifests are right, whoever changed a field since: an operator by hand, a roll back, the
KubeRay operator."""


class DeployError(Exception):
    """The deployment was refused or failed; the message is a sentence."""


def kubectl(*arguments: str, given: list[Manifest] | None = None) -> str:
    """Its output.

    Args:
        given: what its `-f -` reads.

    Raises:
        DeployError: it failed; the message is the last line it said.
    """
    done = subprocess.run(
        ["kubectl", *arguments],
        input=yaml.safe_dump_all(given) if given is not None else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"kubectl {arguments[0]} failed"]
        raise DeployError(lines[-1])
    return done.stdout


def get(kind: str, name: str, namespaced: bool = True) -> dict[str, Any] | None:
    """An object; None if there is none."""
    where = ["-n", NAMESPACE] if namespaced else []
    text = kubectl("get", kind, name, *where, "--ignore-not-found", "-o", "json")
    found: dict[str, Any] | None = json.loads(text) if text.strip() else None
    return found


def live(manifests: list[Manifest]) -> list[Manifest]:
    """What of these the cluster has, as it is now."""
    text = kubectl("get", "-f", "-", "--ignore-not-found", "-o", "json", given=manifests)
    if not text.strip():
        return []
    found = json.loads(text)
    items: list[Manifest] = found["items"] if found["kind"] == "List" else [found]
    return items


def as_json(*arguments: str) -> dict[str, Any]:
    """What kubectl gives as JSON."""
    found: dict[str, Any] = json.loads(kubectl(*arguments, "-o", "json"))
    return found


def bare(manifest: Manifest) -> Manifest:
    """What was applied, without what the API server added."""
    kept = ("name", "namespace", "labels", "annotations")
    metadata = {k: v for k, v in manifest["metadata"].items() if k in kept}
    return {**{k: v for k, v in manifest.items() if k != "status"}, "metadata": metadata}
