"""Which trace a piece of work belongs to."""

import asyncio

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serve_app import tracing
from tests.test_dispatcher import Replica, dispatcher

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_nothing_is_set_without_an_endpoint() -> None:
    assert tracing.environment({}) == {}
    assert tracing.environment({tracing.ENDPOINT: ""}) == {}
    given = {tracing.ENDPOINT: "http://collector:4318"}
    assert tracing.environment(given) == tracing.TRACED
    assert "OTEL_SERVICE_NAME" not in tracing.environment({**given, "OTEL_SERVICE_NAME": "mine"})


def test_outside_a_span_there_is_none() -> None:
    assert tracing.current() == ""
    assert tracing.within("").run(tracing.current) == ""


async def test_a_task_belongs_to_the_span_that_it_is_given_and_to_no_other() -> None:
    async def inside() -> str:
        await asyncio.sleep(0)
        return tracing.current()

    async def starts_another() -> str:
        context = tracing.within("")
        return await asyncio.get_running_loop().create_task(inside(), context=context)

    loop = asyncio.get_running_loop()
    assert await loop.create_task(inside(), context=tracing.within(PARENT)) == PARENT
    assert await loop.create_task(starts_another(), context=tracing.within(PARENT)) == ""


def test_what_is_not_sampled_is_no_span() -> None:
    assert tracing.within(PARENT[:-2] + "00").run(tracing.current) == ""


def test_a_span_is_recorded_in_the_trace_of_its_request() -> None:
    exported = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    trace.set_tracer_provider(provider)
    tracing.record("classify onnx", PARENT, 1_000, 3_000, {"sentiment.texts": 2})
    (span,) = exported.get_finished_spans()
    assert f"{span.context.trace_id:032x}" in PARENT
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" in PARENT
    assert (span.start_time, span.end_time) == (1_000, 3_000)


async def test_a_call_carries_the_trace_of_each_of_its_requests() -> None:
    other = PARENT.replace("b7ad6b7169203331", "00f067aa0ba902b7")
    replica = Replica()
    it = dispatcher(replica)
    loop = asyncio.get_running_loop()
    await asyncio.gather(
        *(
            loop.create_task(it.infer([parent], 10), context=tracing.within(parent))
            for parent in (PARENT, "", other)
        )
    )
    (call,) = replica.calls
    assert call.traces == (PARENT, "", other)
    await it.infer(["untraced"], 10)
    assert replica.calls[-1].traces == ()
