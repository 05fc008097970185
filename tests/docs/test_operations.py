"""The operator's guide: its snippets are what the charts and the cluster take."""

import re
from typing import Any

import pytest
import yaml

from kuberay.manifests import render, the
from serve_app.api.errors import KINDS
from tests.conftest import ROOT
from tests.manifests.conftest import ACCOUNT, IMAGES, as_operator

GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def blocks(language: str, part: str) -> str:
    """The blocks of a language in the section of that title."""
    section = GUIDE.split(f"\n## {part}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S))


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    text = (ROOT / "kuberay" / "eks" / "monitoring.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_every_alert_goes_to_a_receiver_and_the_heartbeat_to_one_of_its_own() -> None:
    config = yaml.safe_load(blocks("yaml", "Alerts"))["alertmanager"]["config"]
    receivers = {each["name"]: each for each in config["receivers"]}
    routes = config["route"]["routes"]
    assert {config["route"]["receiver"], *(each["receiver"] for each in routes)} == set(receivers)
    to = {matcher: route["receiver"] for route in routes for matcher in route["matchers"]}
    assert to['severity = "page"'] == "page"
    heartbeat = receivers[to['alertname = "Watchdog"']]
    assert heartbeat["webhook_configs"]
    # Before the route that drops what has its severity, `none`.
    assert routes[0]["receiver"] == heartbeat["name"]
    assert routes[0]["repeat_interval"] == "1m"


def test_what_monitoring_knows_is_on_disks_that_there_are(values: dict[str, Any]) -> None:
    made = (ROOT / "kuberay" / "eks" / "nodeclass.yaml").read_text(encoding="utf-8")
    classes = [
        each["metadata"]["name"]
        for each in yaml.safe_load_all(made)
        if each["kind"] == "StorageClass"
    ]
    prometheus = values["prometheus"]["prometheusSpec"]
    for storage in (
        prometheus["storageSpec"],
        values["alertmanager"]["alertmanagerSpec"]["storage"],
    ):
        assert storage["volumeClaimTemplate"]["spec"]["storageClassName"] in classes
    claimed = prometheus["storageSpec"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]
    assert float(prometheus["retentionSize"].removesuffix("GB")) < 0.9 * float(
        claimed["storage"].removesuffix("Gi")
    )
    commands = blocks("bash", "From an empty account to the address")
    assert commands.index("-f kuberay/eks/nodeclass.yaml") < commands.index(
        "--values kuberay/eks/monitoring.yaml --values receivers.yaml"
    )


def test_logs_are_asked_of_containers_that_there_are() -> None:
    text = blocks("bash", "Alerts")
    assert re.search(r"^logs\(\) .* --ignore-errors;", text, re.M)
    cluster = the(render("eks", IMAGES, ACCOUNT), "RayService")["spec"]["rayClusterConfig"]
    templates = [
        as_operator(cluster, cluster["headGroupSpec"]["template"]),
        cluster["workerGroupSpecs"][0]["template"],
    ]
    there = {
        (template["metadata"]["labels"]["app.kubernetes.io/component"], container["name"])
        for template in templates
        for container in template["spec"]["containers"]
    }
    assert set(re.findall(r"^logs (\S+) (\S+)", text, re.M)) == there


def test_the_alert_on_errors_says_what_each_kind_of_them_is() -> None:
    (row,) = re.findall(r"^\| `TooManyErrors` \|.*$", GUIDE, re.M)
    for kind in KINDS:
        assert (f"`{kind.name}`" in row) == (kind.status >= 500), kind.name
