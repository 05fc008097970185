"""Traces, where an OpenTelemetry endpoint is set: Ray Serve's own, and one span a request here.

Serve makes the span of the ingress and honours `traceparent`. A call to a replica carries texts of
several requests: the replica adds a span for each of them, in that request's trace.
"""

import os
from collections.abc import Mapping
from contextvars import Context

from opentelemetry import trace
from opentelemetry.context import attach
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACED = {
    "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH": "serve_app.tracing:exporter",
    "OTEL_SERVICE_NAME": "sentiment",
}
"""What makes Serve trace, in the environment of every process of the cluster."""
_W3C = TraceContextTextMapPropagator()


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What must be in an environment beside what it has: nothing where it names no endpoint."""
    if not given.get(ENDPOINT):
        return {}
    return {name: value for name, value in TRACED.items() if name not in given}


def exporter() -> list[SpanProcessor]:
    """Sends spans to the endpoint by OTLP over HTTP; Serve calls it in each of its processes.

    Raises:
        RuntimeError: the packages of the extra `tracing` are not there.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise RuntimeError(
            f"{ENDPOINT} is set, but the packages are missing that `pip install -e '.[tracing]'`"
            " in the repository brings."
        ) from error
    # The provider is made after this, and its resource of what it finds.
    os.environ.setdefault("OTEL_SERVICE_NAME", TRACED["OTEL_SERVICE_NAME"])
    return [BatchSpanProcessor(OTLPSpanExporter())]


def current() -> str:
    """The span that this code runs in, as `traceparent`; "" where it is not recorded."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def within(traceparent: str) -> Context:
    """A context of its own to run a task in: below that span, or below none if it is ""."""
    context = Context()
    if traceparent:
        context.run(attach, _W3C.extract({"traceparent": traceparent}))
    return context


def record(
    name: str, traceparent: str, start: int, end: int, attributes: Mapping[str, str | int | float]
) -> None:
    """A span below another process's, once it is over.

    Args:
        start, end: nanoseconds since the epoch.
    """
    span = trace.get_tracer("sentiment").start_span(
        name,
        _W3C.extract({"traceparent": traceparent}),
        kind=trace.SpanKind.SERVER,
        attributes=dict(attributes),
        start_time=start,
    )
    span.end(end)
