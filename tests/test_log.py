"""The log's rate limit, on the logger that the service has."""

import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.api.keys import Records, write
from serve_app.log import LINES, WINDOW_S, RateLimit
from tests.api.asking import client
from tests.api.log import logged
from tests.api.world import World


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("ray.serve")
    limit = RateLimit(logger)
    logger.addFilter(limit)
    yield logger
    logger.removeFilter(limit)


def told(lines: list[str], of: str) -> int:
    """How many were logged, those that were only counted among them."""
    found = 0
    for line in lines:
        match = re.fullmatch(r"(\d+) more lines within 1 s as: (.*)", line)
        found += (int(match[1]) if match[2].startswith(of) else 0) if match else line.startswith(of)
    return found


async def test_a_thousand_refusals_are_a_few_lines_and_none_is_lost(
    logger: logging.Logger, tmp_path: Path
) -> None:
    write(tmp_path / "keys", Records())
    world = World(auth="api-key", api_keys=str(tmp_path / "keys"))
    began = time.monotonic()
    with logged() as lines:
        async with client(world.app) as http:
            for _ in range(1000):
                assert (await http.post("/onnx/infer", json={"input": "a"})).status_code == 401
        await World.until(lambda: told(lines, "401: ") == 1000)
    windows = (time.monotonic() - began) / WINDOW_S + 1
    assert len(lines) <= windows * (LINES + 1)


def test_without_a_thread_to_count_them_all_lines_are_written(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    with logged() as lines:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Timer, "start", start)
            for _ in range(LINES + 2):
                logger.warning("none: of them is lost")
        assert len(lines) == LINES + 2
        logger.warning("none: nor afterwards")
    assert len(lines) == LINES + 3


async def test_what_is_seldom_or_comes_from_elsewhere_is_not_held_back(
    logger: logging.Logger,
) -> None:
    with logged() as lines:
        for number in range(LINES + 2):
            logger.warning("often: %d", number)
        logger.error("seldom")
        assert lines == [*(f"often: {number}" for number in range(LINES)), "seldom"]
        await World.until(lambda: told(lines, "often: ") == LINES + 2)
    assert lines[LINES + 1 :] == ["2 more lines within 1 s as: often: %d"]
