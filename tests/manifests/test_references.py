"""Whatever a manifest names exists: pods, ports, paths, secrets, settings, images, accounts."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from kuberay.manifests import Manifest, render
from serve_app.serve_config import ROOT
from serve_app.settings import Settings
from tests.manifests.conftest import ACCOUNT, IMAGES, SERVES, pod_templates
from ui.settings import Settings as PageSettings

GUIDE = ROOT / "docs" / "operations.md"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
PATHS = {"/-/healthz": "serve", "/api/healthz": "agent", "/_stcore/health": "http"}
"""Probe paths, each with the port of the program that has it; rehearsal and images call them."""
TRACING = {"OTEL_EXPORTER_OTLP_ENDPOINT", "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH"}
"""Not ours: the guide sets them beside our settings."""
READ_AS_FILES = {"redis": "password", "api-keys": "api-keys"}
"""Of a secret that is mounted the key that is read."""


@pytest.fixture(scope="session")
def templates(manifests: list[Manifest]) -> dict[str, dict[str, Any]]:
    return dict(t for manifest in manifests for t in pod_templates(manifest))


def everything(value: Any, key: str) -> Iterator[Any]:
    """Every value under this key, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from everything(item, key)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from everything(inner, key)


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    return all(labels.get(k) == v for k, v in wanted.items()) and all(
        labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", [])
    )


def test_selectors(manifests: list[Manifest], templates: dict[str, dict[str, Any]]) -> None:
    labels = [template["metadata"]["labels"] for template in templates.values()]
    selectors: list[tuple[str, dict[str, Any]]] = []
    for manifest in manifests:
        name, spec = f"{manifest['kind']}/{manifest['metadata']['name']}", manifest.get("spec", {})
        if manifest["kind"] == "Service":
            selectors.append((name, {"matchLabels": spec["selector"]}))
        elif "selector" in spec:
            selectors.append((name, spec["selector"]))
        if manifest["kind"] == "NetworkPolicy":
            selectors.append((name, spec["podSelector"]))
            for rule in (*spec.get("ingress", []), *spec.get("egress", [])):
                for peer in (*rule.get("from", []), *rule.get("to", [])):
                    if "podSelector" in peer and "namespaceSelector" not in peer:
                        selectors.append((name, peer["podSelector"]))
        for constraint in everything(spec, "topologySpreadConstraints"):
            selectors += [(name, each["labelSelector"]) for each in constraint]
    assert len(selectors) > 12
    for name, selector in selectors:
        assert any(selects(selector, each) for each in labels), (name, selector)


def test_the_page_may_reach_the_service_by_its_own_address() -> None:
    """AWS' network plugin opens a Service's address to policies with the Service's own selector."""
    policies = [m for m in render("eks", IMAGES, ACCOUNT) if m["kind"] == "NetworkPolicy"]
    (page,) = [policy for policy in policies if policy["metadata"]["name"] == "page"]
    peers = [peer for rule in page["spec"]["egress"] for peer in rule["to"]]
    assert {"podSelector": {"matchLabels": SERVES}} in peers


def test_a_rule_that_an_overlay_adds_takes_effect() -> None:
    """Rules of a direction that `policyTypes` does not name are ignored."""
    policies = {
        policy["metadata"]["name"]: set(policy["spec"]["policyTypes"])
        for policy in render("eks", IMAGES, ACCOUNT)
        if policy["kind"] == "NetworkPolicy"
    }
    for name in ("head", "worker", "page"):  # what docs/operations.md has rules added to
        assert policies[name] == {"Ingress", "Egress"}


def test_controllers_select_their_own_pods(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            spec = manifest["spec"]
            assert selects(spec["selector"], spec["template"]["metadata"]["labels"])


def test_service_ports(manifests: list[Manifest], templates: dict[str, dict[str, Any]]) -> None:
    for service in [m for m in manifests if m["kind"] == "Service"]:
        wanted = {"matchLabels": service["spec"]["selector"]}
        for template in templates.values():
            if selects(wanted, template["metadata"]["labels"]):
                ports = ports_of(template)
                for port in service["spec"]["ports"]:
                    assert port["targetPort"] in ports, service["metadata"]["name"]


def test_policy_ports_are_ports_of_the_pods_they_open(
    manifests: list[Manifest], templates: dict[str, dict[str, Any]]
) -> None:
    opened = 0
    for policy in [m for m in manifests if m["kind"] == "NetworkPolicy"]:
        for rule in policy["spec"].get("ingress", []):
            for port in rule.get("ports", []):
                for template in templates.values():
                    if selects(policy["spec"]["podSelector"], template["metadata"]["labels"]):
                        assert port["port"] in ports_of(template), policy["metadata"]["name"]
                        opened += 1
    assert opened >= 5


def test_probes(templates: dict[str, dict[str, Any]]) -> None:
    seen = set()
    for name, template in templates.items():
        for container in template["spec"]["containers"]:
            for probe in [
                container[kind] for kind in PROBES if "httpGet" in container.get(kind, {})
            ]:
                get = probe["httpGet"]
                assert get["port"] == PATHS[get["path"]], name
                assert get["port"] in {port["name"] for port in container["ports"]}, name
                seen.add(get["path"])
    assert seen == set(PATHS)


def test_every_main_container_has_both_probes(templates: dict[str, dict[str, Any]]) -> None:
    for name, template in templates.items():
        assert {"readinessProbe", "livenessProbe"} <= set(template["spec"]["containers"][0]), name


def test_mounts_are_volumes(
    templates: dict[str, dict[str, Any]], manifests: list[Manifest]
) -> None:
    claims = {
        t["metadata"]["name"] for c in everything(manifests, "volumeClaimTemplates") for t in c
    }
    for name, template in templates.items():
        volumes = {volume["name"] for volume in template["spec"]["volumes"]} | claims
        for mounts in everything(template, "volumeMounts"):
            assert {mount["name"] for mount in mounts} <= volumes, name


def test_config_maps(manifests: list[Manifest]) -> None:
    maps = {m["metadata"]["name"] for m in manifests if m["kind"] == "ConfigMap"}
    named = [each["name"] for each in everything(manifests, "configMapRef")]
    assert named
    assert set(named) <= maps


def test_one_page_serves(manifests: list[Manifest]) -> None:
    """streamlit#4173: an upload is in the memory of the pod that took it."""
    (page,) = [
        m for m in manifests if m["kind"] == "Deployment" and m["metadata"]["name"] == "page"
    ]
    assert page["spec"]["replicas"] == 1


def test_settings_are_settings(manifests: list[Manifest]) -> None:
    (settings,) = [
        m
        for m in manifests
        if m["kind"] == "ConfigMap" and m["metadata"]["name"].startswith("settings")
    ]
    known = {f"SENTIMENT_{name.upper()}" for name in Settings.model_fields}
    assert set(settings["data"]) <= known | TRACING
    own = {f"SENTIMENT_UI_{name.upper()}" for name in PageSettings.model_fields}
    variables = {v["name"] for env in everything(manifests, "env") for v in env}
    assert {v for v in variables if v.startswith("SENTIMENT_UI_")} <= own


def test_secrets_are_made_by_the_guide(manifests: list[Manifest]) -> None:
    """Secrets come from outside: the guide makes each, with the keys that are read."""
    wanted: set[tuple[str, str]] = {
        (each["name"], each["key"]) for each in everything(manifests, "secretKeyRef")
    }
    mounted = {volume["secretName"] for volume in everything(manifests, "secret")}
    wanted |= {(name, key) for name, key in READ_AS_FILES.items() if name in mounted}
    for options in everything(manifests, "authOptions"):
        wanted.add((options["secretName"], "auth_token"))
    # More may come by the guide's own steps: a quota's secret, the page's login.
    assert wanted >= {
        ("page", "api-key"),
        ("ray-auth-token", "auth_token"),
        *READ_AS_FILES.items(),
    }
    made = set()
    text = GUIDE.read_text(encoding="utf-8").replace("\\\n", " ")
    for name, rest in re.findall(r"create secret generic (\S+)(.*)", text):
        for key in re.findall(r"--from-(?:literal|file)=([\w.-]+)=", rest):
            made.add((name, key))
    assert wanted <= made
    assert mounted <= {name for name, _ in made}
    assert not [m for m in manifests if m["kind"] == "Secret"]


def test_accounts(manifests: list[Manifest]) -> None:
    accounts = {m["metadata"]["name"] for m in manifests if m["kind"] == "ServiceAccount"}
    assert set(everything(manifests, "serviceAccountName")) == accounts


def test_images(manifests: list[Manifest]) -> None:
    targets = set(
        re.findall(r"^FROM .* AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    )
    for image in everything(manifests, "image"):
        if image in IMAGES.values():
            assert image.split("/")[1].split("@")[0].removeprefix("sentiment-") in targets
        else:
            assert re.search(r"@sha256:[0-9a-f]{64}$", image), image


def test_addresses_are_services(manifests: list[Manifest]) -> None:
    services = {
        m["metadata"]["name"]: {port["port"] for port in m["spec"]["ports"]}
        for m in manifests
        if m["kind"] == "Service"
    }
    service = next(m for m in manifests if m["kind"] == "RayService")["spec"].get("serveService")
    serve = {port["port"] for port in service["spec"]["ports"]} if service else {8000}
    services |= {"sentiment-serve-svc": serve}
    variables = [v for env in everything(manifests, "env") for v in env]
    addresses = [v["value"] for v in variables if v["name"] == "SENTIMENT_UI_API_URL"]
    addresses += [f"redis://{a}" for a in everything(manifests, "redisAddress")]
    assert len(addresses) == 2
    for address in addresses:
        host, port = re.fullmatch(r"\w+://([\w-]+):(\d+)", address).groups()  # type: ignore[union-attr]
        assert int(port) in services[host], address


def ports_of(template: dict[str, Any]) -> set[int | str]:
    return {
        value
        for container in template["spec"]["containers"]
        for port in container.get("ports", [])
        for value in (port["name"], port["containerPort"])
    }
