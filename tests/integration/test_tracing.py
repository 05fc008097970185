"""One trace from the client to the replica, at a collector that speaks OTLP over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.integration.beside import Beside
from tests.integration.waiting import until

TRACES = ("0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736")


class Collector:
    """Keeps the spans that are sent to it."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()

    def names(self, trace: str) -> set[str]:
        """Of the spans of a trace."""
        return {span.name for span in self.spans if span.trace_id.hex() == trace}

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Yields its address."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            self.services |= {
                attribute.value.string_value
                for attribute in resource.resource.attributes
                if attribute.key == "service.name"
            }
            for scope in resource.scope_spans:
                self.spans += scope.spans


def test_a_trace_goes_from_the_client_to_the_replica(prepared: Path, tmp_path: Path) -> None:
    collector = Collector()
    with collector.listening() as endpoint:
        environment = {
            "SENTIMENT_MODEL": str(prepared),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with Beside(environment, tmp_path) as beside:
            for backend, trace in zip(("onnx", "transformers"), TRACES, strict=True):
                parent = f"00-{trace}-b7ad6b7169203331-01"
                answer = beside.post(
                    f"/{backend}/infer",
                    {"input": ["A lovely film.", "A dull mess."]},
                    headers={"traceparent": parent},
                )
                assert answer.status_code == 200
                until(lambda: f"classify {backend}" in collector.names(trace))  # noqa: B023
                until(lambda: any("Ingress" in name for name in collector.names(trace)))  # noqa: B023
    for backend, trace in zip(("onnx", "transformers"), TRACES, strict=True):
        spans = {span.name: span for span in collector.spans if span.trace_id.hex() == trace}
        ingress = next(span for name, span in spans.items() if "Ingress" in name)
        replica = spans[f"classify {backend}"]
        assert ingress.parent_span_id.hex() == "b7ad6b7169203331"
        assert replica.parent_span_id == ingress.span_id
        said = {attribute.key: attribute.value for attribute in replica.attributes}
        assert said["sentiment.texts"].int_value == 2
    assert collector.services == {"sentiment"}
