"""Quotas of the running service: two ingress replicas, one count, and a Redis that is killed.

Waits, verdicts and what is given back are in tests/api/test_limits.py.
"""

import asyncio
from typing import Any

import aiohttp
import pytest
import requests

from tests.integration.guarded.conftest import QUOTA, GuardedService, texts
from tests.integration.waiting import until
from tests.redis_server import RedisServer, needs_redis

pytestmark = [pytest.mark.system, needs_redis]
LIMIT, _ = QUOTA


@pytest.fixture
def redis(guarded: GuardedService) -> RedisServer:
    assert guarded.redis is not None
    return guarded.redis


async def ask_all(urls: list[str], options: dict[str, Any]) -> list[int]:
    """The statuses of single texts, sent to the addresses all at once."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def ask(url: str) -> int:
            body = {"input": "A lovely film."}
            async with http.post(f"{url}/onnx/infer", json=body, **options) as answer:
                await answer.read()
                return answer.status

        return await asyncio.gather(*map(ask, urls))


def test_two_replicas_count_together(guarded: GuardedService, client: dict[str, Any]) -> None:
    replicas = guarded.beside.replicas
    assert len({replica.pid for replica in replicas}) == 2
    never = guarded.beside.post("/onnx/infer", texts(LIMIT + 1), **client)
    assert never.status_code == 422, "a list that can never pass; it draws nothing"
    urls = [replica.url for replica in replicas] * LIMIT
    statuses = asyncio.run(ask_all(urls, client))
    assert {status: statuses.count(status) for status in set(statuses)} == {200: LIMIT, 429: LIMIT}


def test_a_kill_of_redis_is_survived_as_configured(
    guarded: GuardedService, client: dict[str, Any], redis: RedisServer
) -> None:
    beside = guarded.beside
    assert beside.post("/onnx/infer", texts(LIMIT), **client).status_code == 200
    redis.kill()
    try:
        statuses = asyncio.run(ask_all([r.url for r in beside.replicas] * LIMIT, client))
        assert set(statuses) == {200}, "open: texts are let in uncounted"
        answer = beside.post("/onnx/infer", texts(1), **client)
        assert answer.status_code == 200
        assert "RateLimit" not in answer.headers
        ready = beside.get("/ready")
        assert ready.status_code == 200
        assert ready.json()["quota"] == (
            "Redis does not count the quotas; texts are let in uncounted."
        )
        until(lambda: "Redis does not count the quotas" in beside.text_of_logs(), 20)
    finally:
        redis.start()

    def counted() -> bool:
        answers = [
            requests.post(f"{replica.url}/onnx/infer", json=texts(1), timeout=60, **client)
            for replica in beside.replicas
        ]
        return all("RateLimit" in answer.headers for answer in answers)

    until(counted, 20)
    assert beside.get("/ready").json()["quota"] == "ready"
    until(lambda: "Redis counts the quotas again" in beside.text_of_logs(), 20)
