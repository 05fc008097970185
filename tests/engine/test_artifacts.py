"""A prepared folder that is incomplete or altered stops with a sentence that says which file."""

import shutil
from pathlib import Path

import pytest

from serve_app.engine.artifacts import FORMAT, ArtifactError, Artifacts


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


def test_a_manifest_of_another_format_is_refused_by_that(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": 999, "weights": "elsewhere"}')
    with pytest.raises(ArtifactError) as error:
        Artifacts(tmp_path)
    assert error.value.what == f"{tmp_path} has format 999, this version reads {FORMAT}"
    assert str(error.value) == f"{error.value.what}: run `sentiment prepare` again"


@pytest.mark.parametrize(
    ("content", "clause"),
    [('{"labels": "POSITIVE"}', "model_id: Field required"), ("[]", "the file: Input should be")],
)
def test_a_manifest_that_is_not_valid_says_its_first_fault(
    content: str, clause: str, tmp_path: Path
) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ArtifactError, match=rf"manifest\.json is not valid \({clause}") as error:
        Artifacts(tmp_path)
    assert "\n" not in str(error.value)


def test_a_broken_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="cannot be read"):
        Artifacts(tmp_path)
