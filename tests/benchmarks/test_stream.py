"""The client of the stream benchmark, and what it makes of memory."""

import json

from benchmarks.memory import Sample, growth, held
from benchmarks.stream import Case, Reader, blocks


async def test_every_line_has_its_number() -> None:
    lines = b"".join([block async for block in blocks(1203)]).splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(1203))


def test_a_reader_sees_what_is_missing_or_wrong() -> None:
    reader = Reader()
    reader.feed(b'{"id": 0, "label": "P"}\n{"id"')
    reader.feed(b': 1, "error": "x"}\n')
    assert (reader.rows, reader.errors, reader.in_order) == (2, 1, True)
    reader.feed(b'{"id": 3, "label": "P"}\n{"summary": {"rows": 3}}\n')
    assert not reader.in_order
    assert reader.summary == {"summary": {"rows": 3}}


def test_growth_is_told_from_when_it_is_warm() -> None:
    values = [100, 150, 160, 170, 160]
    samples = [Sample(n, n, {"ingress": (0.0, mb)}) for n, mb in enumerate(values)]
    assert growth(samples, "ingress") == (150, 170, 160)


def test_what_has_ended_holds_nothing() -> None:
    assert held([]) == (0.0, 0.0)
    assert Case("name", 1).eager
