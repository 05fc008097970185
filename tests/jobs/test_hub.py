"""Downloads from a hub over HTTP: what is fetched, resumed, checked, pinned and refused."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.engine.artifacts import Artifacts
from tests.jobs.conftest import ROOT, Prepare, hub_environment
from tests.standin_hub import Hub

FETCH = (
    "import sys; from serve_app.jobs.source import identify;"
    "source = identify(sys.argv[1], None); print(source.revision, source.fetch())"
)


def fetch(hub: Hub, home: Path, model: str) -> tuple[str, Path]:
    """Identify and download in a process of its own; returns commit and folder."""
    done = subprocess.run(
        [sys.executable, "-c", FETCH, model],
        cwd=ROOT,
        env=hub_environment(hub, home),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    commit, folder = done.stdout.split()
    return commit, Path(folder)


def refused(done: "subprocess.CompletedProcess[str]", output: Path) -> str:
    """The one sentence of a refusal that left nothing behind."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()
    assert not list(output.parent.glob(".*.new-*"))
    last = done.stderr.splitlines()[-1]
    assert last.startswith("sentiment prepare: ")
    return last


def test_a_model_is_prepared_from_the_hub_and_pinned(
    hub: Hub, sentiment_prepare: Prepare, model: Path, tmp_path: Path
) -> None:
    repository = hub.add("someone/tiny", model)
    output = tmp_path / "out"

    done = sentiment_prepare("--model", "someone/tiny", "--output", output)

    assert done.returncode == 0, done.stderr
    manifest = Artifacts(output).manifest
    assert manifest.model_id == "someone/tiny"
    assert manifest.revision == repository.commit
    assert manifest.licence == "apache-2.0"

    hub.asked.clear()
    again = sentiment_prepare("--model", "someone/tiny", "--output", output)
    assert "nothing to do" in again.stderr
    assert hub.fetched("model.safetensors") == []

    hub.asked.clear()
    pinned = ("--model", "someone/tiny", "--revision", repository.commit, "--output", output)
    assert "nothing to do" in sentiment_prepare(*pinned).stderr
    assert hub.asked == []  # a commit that is there needs no hub

    away = sentiment_prepare(
        "--model", "someone/tiny", "--output", output, HF_ENDPOINT="http://127.0.0.1:9"
    )
    assert away.returncode == 0
    assert "stays at revision" in away.stderr

    other = sentiment_prepare(
        *("--model", "someone/tiny", "--output", output, "--revision", "0" * 40),
        HF_ENDPOINT="http://127.0.0.1:9",
    )
    assert other.returncode == 1, "it is not the one that is there"


def test_only_needed_files_are_fetched(hub: Hub, model: Path, tmp_path: Path) -> None:
    repository = hub.add("someone/tiny", model)
    repository.files |= {"pytorch_model.bin": b"x", "tf_model.h5": b"x", "training_args.bin": b"x"}

    _, folder = fetch(hub, tmp_path, "someone/tiny")

    names = {path.name for path in folder.iterdir()}
    assert names == {path.name for path in model.iterdir()}


def test_shards_are_fetched_by_their_index(hub: Hub, model: Path, tmp_path: Path) -> None:
    repository = hub.add("someone/sharded", model)
    weights = repository.files.pop("model.safetensors")
    parts = {f"model-0000{part}-of-00002.safetensors": weights for part in (1, 2)}
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    index["weight_map"]["b"] = "model-00002-of-00002.safetensors"
    repository.files |= {**parts, "model.safetensors.index.json": json.dumps(index).encode()}

    _, folder = fetch(hub, tmp_path, "someone/sharded")

    assert all((folder / name).read_bytes() == weights for name in parts)


def test_a_broken_transfer_is_resumed(hub: Hub, model: Path, tmp_path: Path) -> None:
    piece = 10 * 2**20  # what the client writes at a time
    weights = random.Random(0).randbytes(3 * piece)
    hub.add("someone/large", model).files["model.safetensors"] = weights
    hub.breaks["model.safetensors"] = [piece + 1000, piece + 2000]

    _, folder = fetch(hub, tmp_path, "someone/large")

    assert (folder / "model.safetensors").read_bytes() == weights
    resumed = [None, f"bytes={piece}-", f"bytes={2 * piece}-"]
    assert hub.fetched("model.safetensors") == resumed


def test_a_killed_download_is_resumed_by_the_next(hub: Hub, model: Path, tmp_path: Path) -> None:
    piece = 10 * 2**20
    weights = random.Random(0).randbytes(3 * piece)
    hub.add("someone/large", model).files["model.safetensors"] = weights
    cache = tmp_path / "hub" / "hub" / "models--someone--large" / "blobs"
    cache.mkdir(parents=True)
    left = cache / f"{hub.repositories['someone/large'].digest('model.safetensors')}.incomplete"
    left.write_bytes(weights[:piece])

    _, folder = fetch(hub, tmp_path, "someone/large")

    assert (folder / "model.safetensors").read_bytes() == weights
    assert hub.fetched("model.safetensors") == [f"bytes={piece}-"]


def test_a_busy_hub_is_asked_again(hub: Hub, model: Path, tmp_path: Path) -> None:
    repository = hub.add("someone/tiny", model)
    hub.busy |= {"/api/models/someone/tiny": 1, "/config.json": 2, "/model.safetensors": 1}

    commit, _ = fetch(hub, tmp_path, "someone/tiny")

    assert commit == repository.commit
    assert not any(hub.busy.values())


def test_an_altered_file_is_refused(
    hub: Hub, sentiment_prepare: Prepare, model: Path, tmp_path: Path
) -> None:
    hub.add("someone/tiny", model)
    hub.altered.add("model.safetensors")
    output = tmp_path / "out"

    done = sentiment_prepare("--model", "someone/tiny", "--output", output)

    assert "model.safetensors of someone/tiny is not what the hub lists" in refused(done, output)
    hub.altered.clear()
    _, folder = fetch(hub, tmp_path, "someone/tiny")  # the altered file was not kept
    whole = (model / "model.safetensors").read_bytes()
    assert (folder / "model.safetensors").read_bytes() == whole


def test_a_file_altered_in_the_cache_is_fetched_again(
    hub: Hub, model: Path, tmp_path: Path
) -> None:
    hub.add("someone/tiny", model)
    _, folder = fetch(hub, tmp_path, "someone/tiny")
    cached = (folder / "tokenizer.json").resolve()
    whole = cached.read_bytes()
    cached.write_bytes(whole[:-1] + b" ")

    fetch(hub, tmp_path, "someone/tiny")

    assert (folder / "tokenizer.json").read_bytes() == whole


def test_a_private_model_is_opened_by_the_token(
    hub: Hub, sentiment_prepare: Prepare, model: Path, tmp_path: Path
) -> None:
    repository = hub.add("someone/private", model, token="hf_secret")
    repository.files["config.json"] = json.dumps({"architectures": ["GPT2LMHeadModel"]}).encode()
    arguments = ("--model", "someone/private", "--output", tmp_path / "out")

    without = refused(sentiment_prepare(*arguments), tmp_path / "out")
    with_token = refused(sentiment_prepare(*arguments, HF_TOKEN="hf_secret"), tmp_path / "out")

    assert "has no model someone/private, or it is private" in without
    assert "GPT2LMHeadModel, not a sequence classifier" in with_token
    assert hub.fetched("model.safetensors") == []  # refused by its config alone


def test_a_revoked_token_is_named(
    hub: Hub, sentiment_prepare: Prepare, model: Path, tmp_path: Path
) -> None:
    hub.add("someone/tiny", model)
    hub.revoked = "hf_old"
    arguments = ("--model", "someone/tiny", "--output", tmp_path / "out")

    done = sentiment_prepare(*arguments, HF_TOKEN="hf_old")

    assert "refuses HF_TOKEN for someone/tiny" in refused(done, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "someone/nothing"], "has no model someone/nothing"),
        (["--model", "nothing"], "has no model nothing"),
        (["--model", "someone/tiny", "--revision", "nope"], "someone/tiny has no revision nope"),
        (["--model", "someone/gated"], "someone/gated is gated: accept its terms on"),
        (["--model", "some--one/../x"], "is no folder with a model, and no hub id either"),
        (["--model", "a--b/c"], "is no hub id"),
        (["--model", "./nowhere"], "there is no folder nowhere"),
        (["--model", "someone/bare"], "someone/bare has no config.json"),
    ],
)
def test_what_the_hub_does_not_give_is_said_in_a_sentence(
    arguments: list[str],
    sentence: str,
    hub: Hub,
    sentiment_prepare: Prepare,
    model: Path,
    tmp_path: Path,
) -> None:
    hub.add("someone/tiny", model)
    hub.add("someone/gated", model, gated=True, token="hf_secret")
    hub.add("someone/bare", model).files.pop("config.json")
    output = tmp_path / "out"

    assert sentence in refused(sentiment_prepare(*arguments, "--output", output), output)


def test_an_unreachable_hub_is_said_in_a_sentence(
    sentiment_prepare: Prepare, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    arguments = ("--model", "someone/tiny", "--output", output)

    gone = sentiment_prepare(*arguments, HF_ENDPOINT="http://127.0.0.1:9")
    offline = sentiment_prepare(*arguments, HF_HUB_OFFLINE="1")

    assert "http://127.0.0.1:9 cannot be reached for someone/tiny" in refused(gone, output)
    assert "HF_HUB_OFFLINE" in refused(offline, output)
