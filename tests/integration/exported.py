"""What a cluster counts, as Prometheus reads it from the metrics port of its node."""

import re

import requests

from serve_app.telemetry import Metric

QUICKLY = {"RAY_metrics_report_interval_ms": "1000"}
"""For a cluster's environment: Ray's ten seconds are long to wait for a count."""


def address() -> str:
    """Where the node of the cluster that this process has is read."""
    import ray  # only after `set_environment`

    (node,) = [node for node in ray.nodes() if node["Alive"]]
    return f"http://127.0.0.1:{node['MetricsExportPort']}/metrics"


def read(metrics: str) -> str:
    return requests.get(metrics, timeout=10).text


def counted(metrics: str, metric: Metric, **tags: str) -> float:
    """The counts of all processes that have these tags, together."""
    found = re.findall(rf"^ray_{metric.name}_total\{{(.*)\}} (\S+)", read(metrics), re.MULTILINE)
    wanted = [f'{name}="{value}"' for name, value in tags.items()]
    return sum(float(count) for labels, count in found if all(each in labels for each in wanted))
