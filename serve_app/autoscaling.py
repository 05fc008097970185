"""Replicas follow the texts that wait: the policy that `serve_config.yaml` names.

The ingress carries many texts in one call, so Serve's own count of ongoing requests says little.
Each replica reports the texts in its hands and its share of those that wait in the ingresses;
`target_ongoing_requests` is the number of texts wanted for each replica.
"""

from typing import Any

from ray.serve.config import AutoscalingContext

TEXTS = "texts"
"""The metric that replicas record."""


def waiting_texts(context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
    """Replicas wanted before Serve applies its bounds, factors and delays."""
    metrics = context.aggregated_metrics or {}
    texts = sum(metrics.get(TEXTS, {}).values())
    return texts / context.config.target_ongoing_requests, {}
