"""The service's metrics, each named and described once, exported by Ray to Prometheus.

What Serve counts itself (latency, replicas, ongoing calls) is not counted again; requests are, by
what Serve does not know of them: protocol and client. Events are kept here and given to Ray once
a second, so that a request pays next to nothing.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

MS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
SIZES = (0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 16.5, 32.5, 64.5, 128.5)
"""Ray's sum of a histogram is made of its buckets' middles: here the sizes themselves, up to 8."""
FLUSH_S = 1.0


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as Prometheus sees it; buckets make it a histogram, otherwise it is a counter."""

    name: str
    description: str
    tags: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


REQUESTS = Metric(
    "sentiment_requests",
    "Inference requests by route, backend, status, kind of error and the way their client"
    " identified itself; a stream when it ends, by what ended it (499: its client hung up).",
    ("route", "backend", "status", "kind", "client"),
)
TEXTS = Metric("sentiment_texts", "Texts answered.", ("backend",))
BAD_ROWS = Metric("sentiment_stream_bad_rows", "Rows answered with an error.", ("backend",))
QUEUE = Metric("sentiment_queue_ms", "Time that a request's last text waited.", ("backend",), MS)
TOKENIZE = Metric(
    "sentiment_tokenize_ms",
    "Time to tokenize the call with a request's last text.",
    ("backend",),
    MS,
)
INFERENCE = Metric(
    "sentiment_inference_ms",
    "Time in the model of the batch with a request's last text.",
    ("backend",),
    MS,
)
TRUNCATED = Metric(
    "sentiment_truncated_texts", "Texts cut at the model's maximum length.", ("backend",)
)
REFUSED = Metric("sentiment_quota_refusals", "Requests over their client's quota.", ("client",))
ESCALATIONS = Metric("sentiment_auto_escalations", "Texts that `auto` asked torch about in doubt.")
FAILOVERS = Metric("sentiment_auto_failovers", "Texts that torch answered in the place of ONNX.")
SHADOWED = Metric(
    "sentiment_shadow_texts",
    "Texts that the other backend was asked too, by whether the labels were the same.",
    ("agrees",),
)
SHADOW_OVER = Metric(
    "sentiment_shadow_over_bound", "Texts whose scores differed by more than the bound."
)
SHADOW_SKIPPED = Metric(
    "sentiment_shadow_skipped",
    "Requests not shadowed, or not to the end, since a backend was busy.",
)
BATCH_SIZE = Metric(
    "sentiment_batch_size", "Batch that a call's first text rode in.", ("backend",), SIZES
)
TOKENS = Metric("sentiment_tokens", "Tokens given to the model, padding left out.", ("backend",))
CALLS = Metric(
    "sentiment_calls",
    "Calls of ingresses to model replicas, by their way: on a link, or by Ray's handle.",
    ("backend", "way"),
)

METRICS = (
    REQUESTS, TEXTS, BAD_ROWS, QUEUE, TOKENIZE, INFERENCE, TRUNCATED, REFUSED, ESCALATIONS,
    FAILOVERS, SHADOWED, SHADOW_OVER, SHADOW_SKIPPED, BATCH_SIZE, TOKENS, CALLS,
)  # fmt: skip


class Telemetry(Protocol):
    """Takes what happened."""

    def note(self, metric: Metric, value: float = 1.0, **tags: str) -> None:
        """Count, or observe, `value`."""
        ...


class RayTelemetry:
    """Telemetry through Ray's metrics. Belongs to one event loop."""

    def __init__(self) -> None:
        from ray.util.metrics import Counter, Histogram

        self._sinks: dict[Metric, Counter | Histogram] = {}
        for metric in METRICS:
            if metric.buckets:
                self._sinks[metric] = Histogram(
                    metric.name, metric.description, list(metric.buckets), metric.tags
                )
            else:
                self._sinks[metric] = Counter(metric.name, metric.description, metric.tags)
        self._counts: dict[tuple[Metric, tuple[tuple[str, str], ...]], float] = {}
        self._observations: list[tuple[Metric, float, Mapping[str, str]]] = []
        self._flushing = False

    def note(self, metric: Metric, value: float = 1.0, **tags: str) -> None:
        """See `Telemetry`."""
        if metric.buckets:
            self._observations.append((metric, value, tags))
        elif value:  # Ray's counters take no zero
            key = (metric, tuple(tags.items()))
            self._counts[key] = self._counts.get(key, 0.0) + value
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        counts, self._counts = self._counts, {}
        observations, self._observations = self._observations, []
        for (metric, tags), value in counts.items():
            self._sinks[metric].inc(value, dict(tags))
        for metric, value, named in observations:
            self._sinks[metric].observe(value, dict(named))
