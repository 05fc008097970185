"""In a real cluster, calls leave Ray's handle for links."""

import re

from tests.integration.conftest import Service, node_metrics
from tests.integration.waiting import until


def calls(way: str) -> float:
    """Of ingresses to replicas of the ONNX model, as exported."""
    found = re.findall(r"^ray_sentiment_calls_total\{(.*)\} (\S+)", node_metrics(), re.MULTILINE)
    ours = ('backend="onnx"', f'way="{way}"')
    return sum(float(value) for labels, value in found if all(each in labels for each in ours))


def test_calls_travel_on_links(service: Service) -> None:
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
