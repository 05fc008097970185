"""Two ingress replicas behind HAProxy: one that dies takes no request with it."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.beside import Beside
from tests.integration.test_scaling import load
from tests.integration.waiting import until


@pytest.fixture
def beside(prepared: Path, tmp_path: Path) -> Iterator[Beside]:
    with Beside({"SENTIMENT_MODEL": str(prepared)}, tmp_path) as beside:
        yield beside


def test_an_ingress_that_dies_under_load_is_not_seen_by_its_clients(beside: Beside) -> None:
    until(lambda: len(beside.replicas) == 2)
    with load(beside, "onnx", 8) as statuses:
        until(lambda: len(statuses) > 40)
        psutil.Process(beside.replicas[0].pid).kill()
        count = len(statuses)
        until(lambda: len(statuses) > count + 100)
        until(lambda: len(beside.replicas) == 2)
        count = len(statuses)
        until(lambda: len(statuses) > count + 40)
    assert set(statuses) == {200}
