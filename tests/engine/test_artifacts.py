"""A prepared folder that is incomplete or altered stops with a sentence that says which file."""

import json
import shutil
from pathlib import Path

import pytest

from serve_app.engine.artifacts import ArtifactError, Artifacts


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    shutil.copytree(prepared, copy)
    return copy


def test_a_complete_folder_is_taken(folder: Path) -> None:
    artifacts = Artifacts(folder)
    assert artifacts.manifest.labels == ["NEGATIVE", "POSITIVE"]
    assert len(artifacts.golden.texts) == 64
    assert artifacts.onnx("int8").is_file()


def test_no_folder_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="sentiment prepare --model MODEL --output"):
        Artifacts(tmp_path)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "torch" / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"model\.safetensors is missing"):
        Artifacts(folder)


def test_an_altered_file_is_named(folder: Path) -> None:
    with (folder / "onnx" / "int8.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"\0\1\2\3")
    with pytest.raises(ArtifactError, match=r"int8\.onnx was altered"):
        Artifacts(folder)


def test_a_manifest_of_another_format_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["format"] = 999
    path.write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="format 999"):
        Artifacts(folder)


def test_a_broken_manifest_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="cannot be read"):
        Artifacts(folder)
