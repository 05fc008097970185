"""The application with short patience and two ingress replicas, whose spans are collected."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.beside import Beside
from tests.integration.impatient.collector import Collector

TIMEOUT_S = 8.0
MAX_REQUESTS = 24


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


@pytest.fixture(scope="package")
def impatient(
    prepared: Path, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Beside]:
    environment = {
        "SENTIMENT_MODEL": str(prepared),
        "SENTIMENT_TIMEOUT_S": str(TIMEOUT_S),
        "SENTIMENT_AUTO_PATIENCE_S": "0.5",
        "SENTIMENT_MAX_WAITING_REQUESTS": str(MAX_REQUESTS),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with Beside(environment, tmp_path_factory.mktemp("impatient")) as beside:
        yield beside
