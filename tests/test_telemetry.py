"""Telemetry as Ray takes it."""

import asyncio

import pytest

from serve_app.telemetry import QUEUE, SHADOW_OVER, SHADOWED, TEXTS, Metric, RayTelemetry


class Sink:
    """In the place of Ray's counter or histogram of a metric."""

    def __init__(self, telemetry: RayTelemetry, metric: Metric) -> None:
        self.taken: list[tuple[float, dict[str, str]]] = []
        telemetry._sinks[metric] = self

    def inc(self, value: float, tags: dict[str, str]) -> None:
        self.taken.append((value, tags))

    observe = inc


async def test_a_count_of_nothing_takes_no_other_with_it() -> None:
    it = RayTelemetry()
    over, queue = Sink(it, SHADOW_OVER), Sink(it, QUEUE)
    it.note(SHADOWED, 0, agrees="yes")
    it.note(SHADOW_OVER, 1)
    it.note(QUEUE, 3.0, backend="onnx")
    it._flush()  # Ray's counters refuse a zero, with all that would come after it
    assert over.taken == [(1, {})]
    assert queue.taken == [(3.0, {"backend": "onnx"})]


async def test_counts_are_added_up_by_their_tags_and_observations_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serve_app.telemetry.FLUSH_S", 0.0)
    it = RayTelemetry()
    texts, queue = Sink(it, TEXTS), Sink(it, QUEUE)
    onnx, torch = {"backend": "onnx"}, {"backend": "transformers"}
    for times in (1, 2):  # what was given to Ray is not given again
        for tags, value in ((onnx, 2), (torch, 1), (onnx, 3)):
            it.note(TEXTS, value, **tags)
            it.note(QUEUE, value, **tags)
        assert len(texts.taken) == 2 * (times - 1), "a request pays for an append alone"
        async with asyncio.timeout(10):
            while it._flushing:  # noqa: ASYNC110 it has no event for it
                await asyncio.sleep(0)
        assert texts.taken == [(5, onnx), (1, torch)] * times
        assert queue.taken == [(2, onnx), (1, torch), (3, onnx)] * times
