"""The dashboard and the alerts name only metrics that the running service exports."""

import json
import re
from collections.abc import Iterator

import promql_parser
import pytest
import yaml

from serve_app.serve_config import ROOT
from serve_app.telemetry import METRICS
from tests.integration.conftest import Service, node_metrics
from tests.integration.waiting import until

BASE = ROOT / "kuberay" / "base"
SUFFIXES = ("_total", "_bucket", "_sum", "_count")


def expressions() -> list[str]:
    dashboard = json.loads((BASE / "dashboard.json").read_text(encoding="utf-8"))
    rules = yaml.safe_load((BASE / "alerts.yaml").read_text(encoding="utf-8"))["spec"]["groups"]
    found = [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]
    found += [rule["expr"] for group in rules for rule in group["rules"]]
    return [each.replace("$__rate_interval", "5m") for each in found]


def selectors(node: object) -> Iterator["promql_parser.VectorSelector"]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "args", "vector_selector", "param"):
        inner = getattr(node, name, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if each is not None and not isinstance(each, str | int | float):
                yield from selectors(each)


def scraped() -> dict[str, set[str]]:
    """Names of what is exported now, each with its labels."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", node_metrics(), re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


@pytest.fixture(scope="module")
def exported(service: Service) -> dict[str, set[str]]:
    for route in ("transformers", "onnx"):
        for _ in range(3):
            assert service.post(f"/{route}/infer", {"input": "A lovely film."}).ok
    until(lambda: "ray_sentiment_queue_ms_bucket" in scraped(), 60)
    until(lambda: "ray_serve_http_request_latency_ms_bucket" in scraped(), 60)
    found = scraped()
    # What counts rare events is exported once the first was counted; its name is in the code.
    for metric in METRICS:
        names = [f"ray_{metric.name}{suffix}" for suffix in SUFFIXES]
        if not set(names) & set(found):
            found |= {name: {*metric.tags} for name in names}
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
            assert any(label in exported[s.name or ""] for s in asked), label
