"""In a real cluster, calls leave Ray's handle for links."""

from serve_app.telemetry import CALLS
from tests.integration.conftest import Service
from tests.integration.exported import counted
from tests.integration.waiting import until


def test_calls_travel_on_links(service: Service) -> None:
    def calls(way: str) -> float:
        return counted(service.metrics, CALLS, backend="onnx", way=way)

    def ask() -> None:
        assert service.post("/onnx/infer", {"input": "A lovely film."}).ok

    begun = calls("link")

    def linked() -> bool:
        ask()
        return calls("link") > begun

    until(linked, 60)
    linked_before, handled_before = calls("link"), calls("handle")
    for _ in range(20):
        ask()
    until(lambda: calls("link") >= linked_before + 20, 60)
    assert calls("handle") == handled_before
