"""Tiny models, made once for all tests of the jobs, and a hub to have them from."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from serve_app.jobs.prepare import Options, prepare
from tests import standin_hub
from tests.jobs import tiny

ROOT = Path(__file__).resolve().parents[2]
Prepare = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def usual_field_limit() -> Iterator[None]:
    """Of the csv module, which others of this process have raised."""
    before = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(before)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny models are slower with more threads, and much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with two classes; not to be changed."""
    return tiny.make(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def prepared(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT prepared; not to be changed."""
    output = tmp_path_factory.mktemp("prepared") / "tiny-bert"
    prepare(Options(str(model), None, output, None, "auto"))
    return output


@pytest.fixture
def hub() -> Iterator[standin_hub.Hub]:
    with standin_hub.serving() as running:
        yield running


@pytest.fixture
def sentiment_prepare(hub: standin_hub.Hub, tmp_path: Path) -> Prepare:
    """Runs `sentiment prepare` as a process of its own that knows no hub but the stand-in."""

    def run(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "serve_app.jobs.prepare", *map(str, arguments)],
            cwd=ROOT,
            env=hub_environment(hub, tmp_path) | environment,
            capture_output=True,
            text=True,
            timeout=240,
        )

    return run


def hub_environment(hub: standin_hub.Hub, home: Path) -> dict[str, str]:
    """The environment of a process whose hub is the stand-in, with an empty cache and no token."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home / "hub"),
        "NO_PROXY": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
    }
