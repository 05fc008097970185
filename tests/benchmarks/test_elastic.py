"""Autoscaling over its whole range, with a stub for the models: ten real ones need more cores."""

import asyncio
from pathlib import Path

import pytest

from benchmarks import load
from benchmarks.catalog import STUB
from benchmarks.scaling import START_S, running
from benchmarks.servers import Server
from benchmarks.stub_server import COST_MS, REPLICAS


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_load_on_one_backend_takes_it_to_ten_replicas_and_back_and_the_other_stays(
    prepared: Path,
) -> None:
    other: set[int] = set()

    async def until(replicas: int) -> None:
        async with asyncio.timeout(240):
            while True:
                other.add(await asyncio.to_thread(running, server.url, "transformers"))
                if await asyncio.to_thread(running, server.url, "onnx") == replicas:
                    return
                await asyncio.sleep(0.5)

    environment = {COST_MS: "50", REPLICAS: "1-10"}
    with Server(STUB, "int8", prepared, environment, START_S) as server:
        bodies = [server.body(piece) for piece in load.pieces(1)]
        # Ten replicas are wanted for 320 texts: as many clients, and some.
        asking = asyncio.create_task(load.run(server.url, bodies, 400, 90.0))
        await until(10)
        result = await asking
        assert result.errors == 0
        await until(1)
    assert other == {1}
