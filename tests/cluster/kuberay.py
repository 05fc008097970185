"""What the operator makes of a RayService: the commands, resources and environment of its pods."""

import re
import shlex
from typing import Any

import yaml

from kuberay.manifests import Manifest, ray_cpus, the
from serve_app.ray_environment import connections
from serve_app.serve_config import ROOT

UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class RayPods:
    """Commands and environments as KubeRay 1.7 builds them (`controllers/ray/common/pod.go`).

    Args:
        manifests: of an overlay.
        own: what stands for the image's and the secrets' paths on this machine.
        secrets: values of the secrets, by name.
        head: address of the head, in the place of its service's name: gRPC asks a DNS server for
            names, and there is none here.
        uid: of the RayCluster; below it Redis keeps what its head remembers.
    """

    def __init__(
        self,
        manifests: list[Manifest],
        own: dict[str, str],
        secrets: dict[str, str],
        head: str,
        uid: str,
    ) -> None:
        self.manifests = manifests
        self._cluster = the(manifests, "RayService")["spec"]["rayClusterConfig"]
        self._own = own
        self._secrets = secrets
        self._head = head
        self._uid = uid

    def beside(
        self, manifests: list[Manifest], own: dict[str, str], head: str, uid: str
    ) -> "RayPods":
        """The pods of a second cluster, of changed manifests and another image."""
        return RayPods(manifests, {**self._own, **own}, self._secrets, head, uid)

    @property
    def serve_config(self) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load(
            the(self.manifests, "RayService")["spec"]["serveConfigV2"]
        )
        return config

    def head(self) -> tuple[str, dict[str, str]]:
        group = self._cluster["headGroupSpec"]
        parameters = {
            **group["rayStartParams"],
            "dashboard-host": "0.0.0.0",
            "no-monitor": "true",
            "redis-password": "$REDIS_PASSWORD",
        }
        environment = {
            "RAY_ADDRESS": "127.0.0.1:6379",
            "RAY_REDIS_ADDRESS": self._cluster["gcsFaultToleranceOptions"]["redisAddress"],
            "REDIS_PASSWORD": self._secrets["redis"],
            "RAY_external_storage_namespace": self._uid,
        }
        return self._command("ray start --head", group, parameters), self._environment(
            group, environment
        )

    def worker(self) -> tuple[str, dict[str, str]]:
        (group,) = self._cluster["workerGroupSpecs"]
        parameters = {**group["rayStartParams"], "address": f"{self._head}:6379"}
        environment = {
            "RAY_ADDRESS": f"{self._head}:6379",
            "FQ_RAY_IP": self._head,
            "RAY_IP": self._head,
            "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
        }
        return self._command("ray start", group, parameters), self._environment(group, environment)

    def readiness(self) -> dict[str, Any]:
        """The readiness probe of a worker."""
        (group,) = self._cluster["workerGroupSpecs"]
        probe: dict[str, Any] = group["template"]["spec"]["containers"][0]["readinessProbe"]
        return probe

    def memory(self) -> tuple[int, int]:
        """Bytes that the head and a worker may take."""
        (group,) = self._cluster["workerGroupSpecs"]
        return _memory(self._cluster["headGroupSpec"]), _memory(group)

    def drain(self) -> str:
        (group,) = self._cluster["workerGroupSpecs"]
        container = group["template"]["spec"]["containers"][0]
        program, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
        return f"{program.replace('/app/', f'{ROOT}/')} {seconds}"

    def _command(self, start: str, group: dict[str, Any], parameters: dict[str, str]) -> str:
        all_parameters = {
            "num-cpus": str(ray_cpus(group)),
            "memory": str(_memory(group)),
            "metrics-export-port": "8080",
            "dashboard-agent-listen-port": "52365",
            **parameters,
        }
        words = [
            f"--{key}" if value == "true" else f"--{key}={value}"
            for key, value in all_parameters.items()
        ]
        return f"ulimit -n 65536; {start} {' '.join(sorted(words))} --block"

    def _environment(self, group: dict[str, Any], operator: dict[str, str]) -> dict[str, str]:
        container = group["template"]["spec"]["containers"][0]
        settings: dict[str, str] = {}
        for source in container["envFrom"]:
            settings |= the(self.manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
        return {
            **image_environment(),
            # Pods may have 65,536 files; this machine perhaps not.
            "RAY_SERVE_HAPROXY_MAXCONN": str(connections()),
            **settings,
            **{each["name"]: each["value"] for each in container["env"] if "value" in each},
            **operator,
            "RAY_AUTH_MODE": self._cluster["authOptions"]["mode"],
            "RAY_AUTH_TOKEN": self._secrets[self._cluster["authOptions"]["secretName"]],
            "RAY_PORT": "6379",
            "RAY_timeout_ms_task_wait_for_death_info": "0",
            "RAY_gcs_server_request_timeout_seconds": "5",
            "RAY_SERVE_KV_TIMEOUT_S": "5",
            **self._own,
        }


def _memory(group: dict[str, Any]) -> int:
    """Bytes that a pod of the group may take."""
    limit = group["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    return int(limit[:-2]) * UNITS[limit[-2:]]


def image_environment() -> dict[str, str]:
    """`ENV` of the image's last stage for head and workers."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stage = re.split(r"^FROM .* AS serve\n", text, flags=re.MULTILINE)[1].split("\nFROM ")[0]
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", stage, re.MULTILINE)
    words = shlex.split(block.replace("\\\n", " "))
    pairs = (word.replace("/app/", f"{ROOT}/").partition("=") for word in words)
    return {name: value for name, _, value in pairs}
