"""What runs where int8, or every precision, does not answer as it did at preparation."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serve_app.engine.artifacts import GOLDEN, MANIFEST, Artifacts
from serve_app.engine.certificate import SLACK
from serve_app.engine.loading import NotCertifiedError, load
from serve_app.jobs.prepare import Options, prepare
from tests.jobs import tiny


def changed(folder: Path, to: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a prepared folder with one of its JSON files changed."""
    shutil.copytree(folder, to)
    said = json.loads((to / name).read_text())
    change(said)
    (to / name).write_text(json.dumps(said))
    return to


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model: which precision is taken does not go by its size."""
    folder = tmp_path_factory.mktemp("loading")
    model = tiny.make(folder / "tiny-bert")
    prepare(Options(str(model), None, folder / "prepared", None, "auto"))
    return folder / "prepared"


@pytest.fixture(scope="module")
def strict(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Prepared where int8 moved no answer at all; here it does."""

    def exact(manifest: dict[str, Any]) -> None:
        manifest["measured"]["int8"]["max_difference"] = -SLACK

    return Artifacts(changed(prepared, tmp_path_factory.mktemp("strict") / "m", MANIFEST, exact))


def test_the_prepared_precision_is_taken(prepared: Path) -> None:
    backend, (certificate,) = load("onnx", Artifacts(prepared), 1)
    assert (backend.name, backend.precision) == ("onnx", "int8")
    assert certificate.passed


def test_fp32_stands_in_for_an_int8_that_answers_otherwise(strict: Artifacts) -> None:
    backend, tried = load("onnx", strict, 1)
    assert backend.precision == "fp32"
    assert [(one.precision, one.passed) for one in tried] == [("int8", False), ("fp32", True)]


def test_what_is_asked_for_is_all_that_is_tried(strict: Artifacts) -> None:
    backend, tried = load("onnx", strict, 1, "fp32")
    assert backend.precision == "fp32"
    assert len(tried) == 1


@pytest.mark.parametrize("name", ["onnx", "transformers"])
def test_where_no_precision_answers_as_it_did_nothing_is_served(
    name: Any, prepared: Path, tmp_path: Path
) -> None:
    def other(golden: dict[str, Any]) -> None:
        golden["probabilities"] = [row[::-1] for row in golden["probabilities"]]

    folder = changed(prepared, tmp_path / "m", GOLDEN, other)
    with pytest.raises(NotCertifiedError, match=f"^{name} does not answer here as it did at prep"):
        load(name, Artifacts(folder, verify=False), 1)
