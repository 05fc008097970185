"""The dashboard and the alerts name only metrics that the running service exports.

Those of pods are kube-state-metrics' own, which no service here could export.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress

import promql_parser
import pytest
import yaml

from serve_app.serve_config import ROOT
from serve_app.telemetry import FAILOVERS, SHADOW_OVER, SHADOWED
from tests.integration.conftest import Service
from tests.integration.exported import read
from tests.integration.waiting import until

BASE = ROOT / "kuberay" / "base"
RARE = (FAILOVERS, SHADOWED, SHADOW_OVER)


def rules() -> list[dict[str, str]]:
    groups = yaml.safe_load((BASE / "alerts.yaml").read_text(encoding="utf-8"))["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    dashboard = json.loads((BASE / "dashboard.json").read_text(encoding="utf-8"))
    found = [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]
    found += [rule["expr"] for rule in rules()]
    return [each.replace("$__rate_interval", "5m") for each in found if "kube_" not in each]


def labels_of_pods() -> set[str]:
    """What Prometheus adds to whatever it has from a pod."""
    monitor = yaml.safe_load((BASE / "metrics.yaml").read_text(encoding="utf-8"))
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    return {each["targetLabel"] for each in endpoint["relabelings"]}


def selectors(node: object) -> Iterator["promql_parser.VectorSelector"]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "args", "vector_selector", "param"):
        inner = getattr(node, name, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if each is not None and not isinstance(each, str | int | float):
                yield from selectors(each)


def scraped(metrics: str) -> dict[str, set[str]]:
    """Names of what is exported now, each with its labels."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", read(metrics), re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


@pytest.fixture(scope="module")
def exported(service: Service, doubtful: str) -> dict[str, set[str]]:
    for route in ("transformers", "onnx"):
        for _ in range(3):
            assert service.post(f"/{route}/infer", {"input": "A lovely film."}).ok
    assert service.post("/auto/infer", {"input": doubtful}).ok
    # What counts rare events is exported once the first was counted; its name is in the code.
    found = {f"ray_{metric.name}_total": {*metric.tags} for metric in RARE}
    found |= {rule["record"]: set() for rule in rules() if "record" in rule}
    asked = {each.name for text in expressions() for each in selectors(promql_parser.parse(text))}

    def all_seen() -> bool:
        found.update(scraped(service.metrics))  # not each time is every one there
        return asked <= found.keys()

    with suppress(AssertionError):  # the tests say which one is still missing
        until(all_seen, 60)
    return found


@pytest.mark.parametrize("expression", expressions())
def test_names_what_is_exported(exported: dict[str, set[str]], expression: str) -> None:
    asked = list(selectors(promql_parser.parse(expression)))
    assert asked
    for selector in asked:
        assert selector.name is not None
        assert selector.name in exported, selector.name
        for matcher in selector.matchers.matchers:
            assert matcher.name in exported[selector.name], (selector.name, matcher.name)
    for labels in re.findall(r"by \(([\w, ]+)\)", expression):
        for label in labels.split(", "):
            known = labels_of_pods().union(*(exported[s.name or ""] for s in asked))
            assert label in known, label
