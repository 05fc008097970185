"""What is made of the service's parts."""

import asyncio
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import limit, load, parts, stream
from benchmarks.servers import ServerError
from tests.benchmarks.little_server import BUSY, serving
from tests.benchmarks.made_up import PARTS
from tests.benchmarks.test_limit import Sleeper

HEADER = "queue;dur=0.10, tokenize;dur=0.05, inference;dur={}, total;dur=9.00"


def test_a_server_timing_is_read() -> None:
    assert parts.timing(HEADER.format(6.5)) == {
        "queue": 0.1,
        "tokenize": 0.05,
        "inference": 6.5,
        "total": 9.0,
    }


async def test_the_model_s_time_is_the_median_of_what_the_answers_say() -> None:
    def answer(n: int) -> bytes:
        timing = HEADER.format([4.0, 50.0, 6.0][n])
        return f"HTTP/1.1 200 OK\r\nServer-Timing: {timing}\r\nContent-Length: 2\r\n\r\n[]".encode()

    async with serving(answer) as (little, url):
        assert await asyncio.to_thread(parts.inference, url, [b"a", b"b", b"c"]) == 6.0
    assert little.bodies == [b"a", b"b", b"c"]
    async with serving(lambda _: BUSY) as (_, url):
        with pytest.raises(ServerError, match="answers 503"):
            await asyncio.to_thread(parts.inference, url, [b"a"])


def test_differences_and_shares_are_taken_within_a_round() -> None:
    said: dict[str, Any] = PARTS
    assert parts.outside(said) == pytest.approx([0.6, 0.8, 1.0])
    assert parts.shares(said, "lists") == pytest.approx([0.95, 0.9, 0.99])
    table = parts.table(said)
    assert "| ONNX int8 | 20.0 (20.0–20.0) | 4.00 (4.00–4.00) | **80.0 (80.0–80.0) %** |" in table
    assert "| 19.0 (19.0–19.0) | **0.95 (0.95–0.95)** |" in table
    assert "**0.80 (0.60–1.00)** |" in table
    assert "out of a window 256 (400 texts/s)" in table
    assert "| a stream | 360 (180–384) | **0.90 (0.90–0.96)** |" in table


class Standing:
    """A server that is only asked where it is."""

    url = "http://127.0.0.1/onnx/infer"

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> "Standing":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def at(self, path: str) -> str:
        return path

    def body(self, texts: list[str]) -> bytes:
        return json.dumps(texts).encode()

    def cpu(self) -> float:
        return 0.0

    def check(self) -> None:
        pass

    def suspended(self) -> AbstractContextManager[None]:
        return nullcontext()


def test_the_command_writes_every_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def asked(*_: object, **__: object) -> Any:
        return SimpleNamespace(errors=0, requests=9, answered=100, cpu=1.0, texts_per_second=380.0)

    async def streamed(_: str, case: stream.Case, reader: stream.Reader) -> tuple[float, float]:
        reader.rows = case.lines
        return 0.5, 0.1

    monkeypatch.setattr(parts, "Server", Standing)
    monkeypatch.setattr(limit, "backends", lambda *_: {1: Sleeper(1), 2: Sleeper(2)})
    monkeypatch.setattr(load, "run", asked)
    monkeypatch.setattr(stream, "run", streamed)
    monkeypatch.setattr(parts, "inference", lambda url, bodies: 20.0 if "transf" in url else 5.0)
    output = tmp_path / "parts.json"
    parts.main(
        [
            *("--rounds", "2", "--texts", "3", "--rows", "100", "--limit-seconds", "0.01"),
            *("--output", str(output)),
        ]
    )
    said = json.loads(output.read_text())
    assert [one["precision"] for one in said["lone"]] == ["int8", "int8", "fp32", "fp32"]
    assert [one["whole"] for one in said["busy"]] == [10.0, 10.0]
    assert said["bulk"] == [{"lists": 380.0, "stream": 200.0}] * 2
    assert {len(one["rates"]) for one in said["limits"]} == {2}
    assert parts.table(said) in capsys.readouterr().out
