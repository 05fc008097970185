"""`/ready` while a backend is away."""

from typing import Any

import pytest

from tests.api.asking import client
from tests.api.world import World


@pytest.mark.parametrize("gone", ["transformers", "onnx"])
async def test_ready_names_the_backend_that_is_away(gone: str) -> None:
    world = World()

    async def away() -> Any:
        raise RuntimeError("secret")

    world.gateway.describe = {**world.gateway.describe, gone: away}
    async with client(world.app) as http:
        answer = await http.get("/ready")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json() == {
        "status": "unavailable",
        "detail": f"No replica answers: {gone}.",
        "backends": {"transformers": "ready", "onnx": "ready", gone: "unavailable"},
    }
