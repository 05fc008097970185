"""`make manifests`: an overlay of kuberay/ with the Serve configuration and the images in it.

kustomize reads no file above its base, so that serve_config.yaml cannot be had by kustomize itself;
and what belongs to an account (names, ranges, certificates) stands as `${NAME}` in the overlay and
comes from the environment. The output is for `kubectl apply --server-side -f`.
"""

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from serve_app.serve_config import BASE, ROOT, Config, ConfigError, load

OVERLAYS = ROOT / "kuberay" / "overlays"
IMAGES = ("sentiment-serve", "sentiment-ui")

Manifest = dict[str, Any]

_VARIABLE = re.compile(r"\$\{([A-Z_]+)\}")
_IMAGE = re.compile(
    r"^[a-z0-9][a-z0-9._-]*(:\d+)?(/[a-z0-9._-]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)


class ManifestError(Exception):
    """The overlay cannot be rendered; the message is a sentence with the remedy."""


def overlays() -> list[str]:
    """The names of all overlays."""
    return sorted(path.parent.name for path in OVERLAYS.glob("*/kustomization.yaml"))


def render(
    overlay: str,
    images: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[Manifest]:
    """Every manifest of an overlay, in the order to apply them.

    Args:
        overlay: a folder below kuberay/overlays.
        images: what stands for `sentiment-serve` and `sentiment-ui`.
        environment: values of the overlay's variables; this process's own if None.

    Raises:
        ManifestError: no such overlay, its configuration does not do, a variable is not set, an
            image's name is none, or the workers are too few or too small for the replicas.
    """
    if overlay not in overlays():
        raise ManifestError(f"There is no overlay {overlay!r}: take {' or '.join(overlays())}.")
    config = serve_config(overlay)
    text = _filled(
        _kustomize(OVERLAYS / overlay), os.environ if environment is None else environment
    )
    manifests: list[Manifest] = list(yaml.safe_load_all(text))
    for container in _containers(manifests):
        container["image"] = _named(container["image"], images or {})
    service = the(manifests, "RayService")
    service["spec"]["serveConfigV2"] = yaml.safe_dump(config, sort_keys=False)
    _refuse_too_little(service, config)
    return manifests


def serve_config(overlay: str) -> Config:
    """serve_config.yaml with the overlay's own differences laid over it, if it has some.

    Raises:
        ManifestError: one of the files does not do.
    """
    own = OVERLAYS / overlay / "serve_config.yaml"
    try:
        return load(BASE, own) if own.exists() else load()
    except ConfigError as error:
        raise ManifestError(str(error)) from None


def the(manifests: Sequence[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The one manifest of this kind (and name)."""
    found = [
        manifest
        for manifest in manifests
        if manifest["kind"] == kind and name in (None, manifest["metadata"]["name"])
    ]
    if len(found) != 1:
        raise ManifestError(f"There are {len(found)} manifests of {kind} {name or ''}, not one.")
    return found[0]


def workers_needed(config: Config, cpus: int, most: bool) -> int:
    """Workers of so many CPUs that hold every replica, however Serve packs them.

    The largest replicas are placed last, on workers where the small ones took the most room.

    Args:
        cpus: of one worker, as Ray counts them.
        most: at every deployment's largest number of replicas, or at its smallest.

    Raises:
        ManifestError: a replica needs more CPUs than a worker has.
    """
    sizes: list[float] = []
    for application in config["applications"]:
        for deployment in application["deployments"]:
            scaling = deployment.get("autoscaling_config", {})
            replicas = deployment.get(
                "num_replicas", scaling.get("max_replicas" if most else "min_replicas", 1)
            )
            sizes += [float(deployment["ray_actor_options"]["num_cpus"])] * int(replicas)
    large = max(sizes)
    if large > cpus:
        raise ManifestError(
            f"A replica of {large:g} CPUs fits on no worker of {cpus}: lower its num_cpus in"
            " serve_config.yaml or give the workers more."
        )
    small = [size for size in sizes if size < large]
    left = len(sizes) - len(small)
    # Any way of packing the small ones onto workers: so many of them share one.
    worst = 0
    for together in range(1, len(small) + 1):
        if together * max(small) > cpus + 1e-9:
            break
        shared = math.ceil(len(small) / together)
        beside = shared * math.floor((cpus - together * max(small)) / large + 1e-9)
        rest = math.ceil(max(0, left - beside) / math.floor(cpus / large + 1e-9))
        worst = max(worst, shared + rest)
    return worst or math.ceil(left / math.floor(cpus / large + 1e-9))


def ray_cpus(group: Mapping[str, Any]) -> int:
    """CPUs that Ray counts on a worker of this group, as the operator tells it."""
    if "num-cpus" in group["rayStartParams"]:
        return int(group["rayStartParams"]["num-cpus"])
    resources = group["template"]["spec"]["containers"][0]["resources"]
    cpu = resources.get("limits", {}).get("cpu") or resources["requests"]["cpu"]
    return math.ceil(as_cpus(cpu))


def as_cpus(quantity: str) -> float:
    """CPUs as Kubernetes writes them: `1500m` and `1.5` are the same."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def _refuse_too_little(service: Manifest, config: Config) -> None:
    (group,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    cpus = ray_cpus(group)
    for most, key in ((False, "minReplicas"), (True, "maxReplicas")):
        needed = workers_needed(config, cpus, most)
        if group[key] < needed:
            raise ManifestError(
                f"{key} of the workers is {group[key]}, and the replicas of serve_config.yaml need"
                f" {needed} workers of {cpus} CPUs: raise it or lower the replicas."
            )


def _kustomize(folder: Path) -> str:
    kubectl = shutil.which("kubectl", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if kubectl is None:
        raise ManifestError("kubectl is not here; `make install` brings it.")
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ManifestError(f"{folder} cannot be rendered: {done.stderr.strip()}")
    return done.stdout


def _filled(text: str, environment: Mapping[str, str]) -> str:
    missing = sorted(set(_VARIABLE.findall(text)) - {k for k, v in environment.items() if v})
    if missing:
        raise ManifestError(
            f"The overlay needs {', '.join(missing)} in the environment; docs/operations.md says"
            " what they are."
        )
    return _VARIABLE.sub(lambda match: environment[match[1]], text)


def _containers(value: Any) -> Iterator[Manifest]:
    if isinstance(value, list):
        for item in value:
            yield from _containers(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in ("containers", "initContainers"):
                yield from inner
            else:
                yield from _containers(inner)


def _named(image: str, images: Mapping[str, str]) -> str:
    name = images.get(image, image)
    if not _IMAGE.match(name):
        raise ManifestError(f"{name!r} is no name of an image: [HOST/]NAME[:TAG][@sha256:DIGEST].")
    return name


def main(argv: Sequence[str] | None = None) -> int:
    """Write the manifests of an overlay; returns 0, or 1 where they cannot be made."""
    parser = argparse.ArgumentParser(prog="manifests", description=__doc__)
    parser.add_argument("overlay", help="a folder below kuberay/overlays")
    parser.add_argument("--output", type=Path, help="file to write; standard output without it")
    parser.add_argument("--serve", metavar="IMAGE", default=IMAGES[0], help="head and workers")
    parser.add_argument("--page", metavar="IMAGE", default=IMAGES[1], help="the Streamlit page")
    options = parser.parse_args(argv)
    try:
        manifests = render(
            options.overlay, dict(zip(IMAGES, (options.serve, options.page), strict=True))
        )
    except ManifestError as error:
        print(f"manifests: {error}", file=sys.stderr)
        return 1
    text = yaml.safe_dump_all(manifests, sort_keys=False, width=10_000)
    if options.output is None:
        print(text, end="")
    else:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")
        print(
            f"manifests: {len(manifests)} of {options.overlay} in {options.output}", file=sys.stderr
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
