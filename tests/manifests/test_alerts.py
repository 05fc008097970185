"""Alert rules: each is tested by promtool against series, and has a section in the guide."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuberay.manifests import render, the
from serve_app.serve_config import ROOT, load
from tests.manifests.conftest import ACCOUNT, IMAGES

TESTS = Path(__file__).with_name("alerts_test.yaml")


@pytest.fixture(scope="module")
def rules() -> dict[str, object]:
    spec: dict[str, object] = the(render("eks", IMAGES, ACCOUNT), "PrometheusRule")["spec"]
    return spec


def names(rules: dict[str, object]) -> list[str]:
    return re.findall(r"^ *-? ?alert: (\w+)$", yaml.safe_dump(rules), re.MULTILINE)


def expressions(rules: dict[str, object]) -> list[str]:
    groups: list[dict[str, Any]] = rules["groups"]  # type: ignore[assignment]
    return [rule["expr"].strip() for group in groups for rule in group["rules"]]


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool (Debian's prometheus)")
def test_alerts_do_as_promtool_sees_them(rules: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    shutil.copy(TESTS, tmp_path)
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", TESTS.name]):
        done = subprocess.run(
            ["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_to_fire_and_to_be_silent(rules: dict[str, object]) -> None:
    tests = yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for name in names(rules):
        assert any(c["alertname"] == name and c["exp_alerts"] for c in cases), name
        assert any(c["alertname"] == name and not c["exp_alerts"] for c in cases), name


def test_the_most_replicas_are_those_of_the_serve_config(rules: dict[str, object]) -> None:
    most = {
        deployment["autoscaling_config"]["max_replicas"]
        for deployment in load()["applications"][0]["deployments"]
        if "autoscaling_config" in deployment
    }
    (number,) = re.findall(
        r"^max by.*target_replicas\{.*\}\) >= (\d+)$", "\n".join(expressions(rules)), re.MULTILINE
    )
    assert most == {int(number)}


def test_the_alert_on_disagreement_has_texts_to_look_at() -> None:
    (settings,) = [
        manifest["data"]
        for manifest in render("eks", IMAGES, ACCOUNT)
        if manifest["kind"] == "ConfigMap" and "SENTIMENT_AUTH" in manifest["data"]
    ]
    assert float(settings["SENTIMENT_SHADOW_SHARE"]) > 0


def test_every_alert_is_in_the_guide(rules: dict[str, object]) -> None:
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert len(names(rules)) == 11
    for name in names(rules):
        assert f"`{name}`" in guide, name


def test_the_dashboard_shows_what_the_alert_on_disagreement_looks_at(
    rules: dict[str, object],
) -> None:
    dashboard = (ROOT / "kuberay" / "base" / "dashboard.json").read_text(encoding="utf-8")
    groups: list[dict[str, Any]] = rules["groups"]  # type: ignore[assignment]
    recorded = [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]
    assert len(recorded) == 2
    (alert,) = [each for each in expressions(rules) if "> 0.01" in each and "shadow" in each]
    for name in recorded:
        assert name in alert
        assert name in dashboard
    assert "shadow_texts_total" not in alert + dashboard
