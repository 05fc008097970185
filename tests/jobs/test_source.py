"""Finding a model in a folder: which files count, what changes its digest, what is refused."""

import json
import shutil
from pathlib import Path

import pytest

from serve_app.jobs import source
from serve_app.jobs.errors import PrepareError
from serve_app.jobs.source import identify, needed, shards


@pytest.fixture
def folder(model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be changed."""
    return Path(shutil.copytree(model, tmp_path / "copy"))


def test_a_folder_is_a_source(folder: Path) -> None:
    card = folder / "README.md"
    card.write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n", encoding="utf-8")

    found = identify(str(folder), None)

    assert found.fetch() == folder
    assert found.model_id == "copy"
    assert found.licence == "apache-2.0"
    assert found.revision == f"sha256:{found.digest[:16]}"


def test_the_bundled_model_is_the_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "bundled", lambda: folder)

    assert identify(None, None).fetch() == folder


def test_without_the_bundled_model_its_place_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "bundled", lambda: tmp_path / "none")

    with pytest.raises(PrepareError, match="none is no folder with a model"):
        identify(None, None)


def test_the_digest_follows_the_files_that_count(folder: Path) -> None:
    before = identify(str(folder), None).digest

    (folder / "notes.txt").write_text("nothing to do with it")
    assert identify(str(folder), None).digest == before

    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    assert identify(str(folder), None).digest != before


def test_safetensors_are_preferred_to_a_pickle() -> None:
    names = ["config.json", "pytorch_model.bin", "model.safetensors", "vocab.txt", "x.h5"]

    assert needed(names, "it") == ["config.json", "model.safetensors", "vocab.txt"]
    assert "pytorch_model.bin" in needed([*names[:2], "vocab.txt"], "it")
    indexed = ["config.json", "pytorch_model.bin", "model.safetensors.index.json", "vocab.txt"]
    assert "model.safetensors.index.json" in needed(indexed, "it")


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "has no weights"),
        ("tokenizer*", "has no tokenizer"),
    ],
)
def test_a_missing_file_is_named(removed: str, message: str, folder: Path) -> None:
    names = [removed, "vocab.txt", "special_tokens_map.json"] if "*" in removed else [removed]
    for name in names:
        for path in folder.glob(name):
            path.unlink()

    with pytest.raises(PrepareError, match=message):
        identify(str(folder), None)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_config_is_refused(content: str, folder: Path) -> None:
    (folder / "config.json").write_text(content)

    with pytest.raises(PrepareError, match=r"config\.json of .* is no JSON"):
        identify(str(folder), None)


def test_another_task_is_refused_by_its_config(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"architectures": ["BertForMaskedLM"]}
    path.write_text(json.dumps(config))

    with pytest.raises(PrepareError, match="holds a BertForMaskedLM, not a sequence classifier"):
        identify(str(folder), None)


@pytest.mark.parametrize(
    "more",
    [
        {"trust_remote_code": True},
        {"keypoint_detector_config": {"trust_remote_code": True}},
        {"_attn_implementation_internal": "somebody/attention"},
        {"attn_implementation": {"": "sdpa", "text_config": "somebody/attention@main:fast"}},
        {"parts": [{"_attn_implementation": "somebody/attention"}]},
    ],
)
def test_a_config_that_brings_code_is_refused(more: dict[str, object], folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))

    with pytest.raises(PrepareError, match="needs code of its own to run"):
        identify(str(folder), None)


def test_a_config_may_name_an_attention_that_is_there(folder: Path) -> None:
    path = folder / "config.json"
    more = {"_attn_implementation": "sdpa", "trust_remote_code": False}
    path.write_text(json.dumps(json.loads(path.read_text()) | more))
    assert identify(str(folder), None)


def test_an_index_may_name_files_of_its_folder_only(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one", "b": "two", "c": "one"}}))
    assert shards(index, "it") == ["one", "two"]

    index.write_text(json.dumps({"weight_map": {"a": "../one"}}))
    with pytest.raises(PrepareError, match="is no index of weight files"):
        shards(index, "it")


def test_a_revision_of_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(PrepareError, match="--revision is for models of the hub"):
        identify(str(folder), "main")


def test_folders_and_hub_ids_are_prepared_to_folders_of_their_own(tmp_path: Path) -> None:
    names = set()
    for place in ("a/mine", "b/mine", "a/mine/"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        names.add(source.prepared_folder(f"{tmp_path}/{place}").name)
    assert len(names) == 2
    assert all(name.startswith("mine-") for name in names)
    assert source.prepared_folder("a/x").name == "a--x"
    assert source.prepared_folder("b/x").name == "b--x"
    bundled = source.prepared_folder(str(source.bundled()))
    assert bundled.parts[-3:] == (".cache", "prepared", "sst2-minilm")
