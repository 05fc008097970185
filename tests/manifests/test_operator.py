"""What KubeRay 1.7 refuses beyond its CRDs, and what the service asks of it."""

import re
import sysconfig

import yaml

from kuberay.manifests import Manifest, render, the
from serve_app.ray_environment import ENVIRONMENT
from serve_app.serve_config import ROOT
from tests.manifests.conftest import ACCOUNT, IMAGES


def test_names(manifests: list[Manifest]) -> None:
    name = the(manifests, "RayService")["metadata"]["name"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 47


def test_groups(manifests: list[Manifest]) -> None:
    cluster = the(manifests, "RayService")["spec"]["rayClusterConfig"]
    head = cluster["headGroupSpec"]
    assert "name" not in head.get("headService", {}).get("metadata", {})
    for group in (head, *cluster["workerGroupSpecs"]):
        assert group["template"]["spec"]["containers"]
        assert group["template"]["spec"].get("restartPolicy", "Never") == "Never"
        assert "labels" not in group["rayStartParams"]
        if "resources" in group:
            assert not {"num-cpus", "memory", "resources"} & set(group["rayStartParams"])
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    for group in cluster["workerGroupSpecs"]:
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert not group.get("suspend")
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", group["groupName"])


def test_autoscaler(manifests: list[Manifest]) -> None:
    cluster = the(manifests, "RayService")["spec"]["rayClusterConfig"]
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert cluster["autoscalerOptions"]["idleTimeoutSeconds"] >= 0
    assert "RAY_enable_autoscaler_v2" not in environment(cluster["headGroupSpec"]["template"])
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_fault_tolerance(manifests: list[Manifest]) -> None:
    service = the(manifests, "RayService")
    cluster = service["spec"]["rayClusterConfig"]
    head = cluster["headGroupSpec"]
    assert cluster["gcsFaultToleranceOptions"]["redisPassword"]["valueFrom"]["secretKeyRef"]
    # Its own for each cluster: two that share one would share their state.
    assert "externalStorageNamespace" not in cluster["gcsFaultToleranceOptions"]
    assert "redis-password" not in head["rayStartParams"]
    assert not {"REDIS_PASSWORD", "RAY_REDIS_ADDRESS", "REDIS_USERNAME"} & environment(
        head["template"]
    )
    annotations = service["metadata"].get("annotations", {}) | head["template"]["metadata"].get(
        "annotations", {}
    )
    assert not {"ray.io/ft-enabled", "ray.io/external-storage-namespace"} & set(annotations)


def test_authentication(manifests: list[Manifest]) -> None:
    cluster = the(manifests, "RayService")["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token", "secretName": "ray-auth-token"}
    assert tuple(map(int, cluster["rayVersion"].split("."))) >= (2, 52, 0)


def test_no_feature_gate_is_needed(manifests: list[Manifest]) -> None:
    cluster = the(manifests, "RayService")["spec"]["rayClusterConfig"]
    assert not {"networkPolicy", "tlsOptions", "historyServerOptions", "upgradeStrategy"} & set(
        cluster
    )
    assert "backend" not in cluster["gcsFaultToleranceOptions"]


def test_upgrade(manifests: list[Manifest]) -> None:
    spec = the(manifests, "RayService")["spec"]
    assert spec["upgradeStrategy"] == {"type": "NewCluster"}
    assert spec["excludeHeadPodFromServeSvc"] is True
    grace = worker(manifests)["terminationGracePeriodSeconds"]
    assert spec["rayClusterDeletionDelaySeconds"] >= grace


def test_drain_fits_the_grace(manifests: list[Manifest]) -> None:
    pod = worker(manifests)
    program, drain = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "/app/scripts/drain"
    assert 60 <= int(drain) <= 75
    assert pod["terminationGracePeriodSeconds"] == 90
    config = yaml.safe_load(the(manifests, "RayService")["spec"]["serveConfigV2"])
    for deployment in config["applications"][0]["deployments"]:
        assert deployment.get("graceful_shutdown_timeout_s", 20) <= int(drain)


def test_balancer_lets_targets_go_no_sooner_than_it_hears_of_it(manifests: list[Manifest]) -> None:
    service = the(manifests, "RayService")["spec"].get("serveService")
    if service is None:
        return
    attributes = dict(
        pair.split("=")
        for pair in service["metadata"]["annotations"][
            "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes"
        ].split(",")
    )
    drain = int(worker(manifests)["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert int(attributes["deregistration_delay.timeout_seconds"]) <= drain


def test_balancers_go_by_machines_that_stay() -> None:
    """karpenter-provider-aws#4673: a machine is ended without regard to who still sends to it."""
    cluster = yaml.safe_load((ROOT / "kuberay" / "eks" / "cluster.yaml").read_text())
    (stay,) = [group["name"] for group in cluster["managedNodeGroups"]]
    manifests = render("eks", IMAGES, ACCOUNT)
    page = next(m for m in manifests if m["kind"] == "Service" and m["metadata"]["name"] == "page")
    for service in (the(manifests, "RayService")["spec"]["serveService"], page):
        annotations = service["metadata"]["annotations"]
        label = annotations["service.beta.kubernetes.io/aws-load-balancer-target-node-labels"]
        assert label == f"eks.amazonaws.com/nodegroup={stay}"


VARIABLE = re.compile(r'(\w+)=(?:"([^"]*)"|(\S+))')


def test_image_has_the_environment_of_every_process() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    image = {key: value or quoted for key, quoted, value in VARIABLE.findall(text)}
    # On one machine replicas leave at once; on a cluster they drain.
    here = sysconfig.get_path("scripts")
    wanted = {
        key: value.replace(here, "/app/.venv/bin")
        for key, value in ENVIRONMENT.items()
        if "DRAINING" not in key
    }
    assert {key: image.get(key) for key in wanted} == wanted


def environment(template: Manifest) -> set[str]:
    (container,) = template["spec"]["containers"]
    return {variable["name"] for variable in container.get("env", [])}


def worker(manifests: list[Manifest]) -> Manifest:
    (group,) = the(manifests, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    pod: Manifest = group["template"]["spec"]
    return pod
