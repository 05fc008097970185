from pathlib import Path

import pytest

from tests.training import tiny


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_start(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tiny.write_data(tmp_path / "data")
