"""One trace from the client to the replica, at a collector that speaks OTLP over HTTP."""

import pytest

from tests.integration.beside import Beside
from tests.integration.impatient.collector import Collector
from tests.integration.waiting import until

CALLER = "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("backend", "trace"),
    [
        ("onnx", "0af7651916cd43dd8448eb211c80319c"),
        ("transformers", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ],
)
def test_a_trace_goes_from_the_client_to_the_replica(
    impatient: Beside, collector: Collector, backend: str, trace: str
) -> None:
    answer = impatient.post(
        f"/{backend}/infer",
        {"input": ["A lovely film.", "A dull mess."]},
        headers={"traceparent": f"00-{trace}-{CALLER}-01"},
    )
    assert answer.status_code == 200
    until(lambda: f"classify {backend}" in collector.of(trace))
    until(lambda: any("Ingress" in name for name in collector.of(trace)))
    spans = collector.of(trace)
    ingress = next(span for name, span in spans.items() if "Ingress" in name)
    replica = spans[f"classify {backend}"]
    assert ingress.parent_span_id.hex() == CALLER
    assert replica.parent_span_id == ingress.span_id
    said = {attribute.key: attribute.value for attribute in replica.attributes}
    assert said["sentiment.texts"].int_value == 2
    assert collector.services == {"sentiment"}
