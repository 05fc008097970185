"""Telemetry as Ray takes it."""

from serve_app.telemetry import QUEUE, SHADOW_OVER, SHADOWED, RayTelemetry


async def test_a_count_of_nothing_takes_no_other_with_it() -> None:
    it = RayTelemetry()
    it.note(SHADOWED, 0, agrees="yes")
    it.note(SHADOW_OVER, 1)
    it.note(QUEUE, 3.0, backend="onnx")
    it._flush()  # Ray's counters refuse a zero, with all that would come after it
