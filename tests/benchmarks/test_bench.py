"""The comparison's plan, its catalog, and the forms of the model that it hands out."""

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import bench, graphs, venvs
from benchmarks.catalog import OURS, SETUPS, Setup
from benchmarks.peers.classifier import Given, best
from serve_app.serve_config import BASE, LOCAL, ROOT, load

PLANS = bench.plans_for(SETUPS, list(graphs.NAMES), limits=True)


def test_every_round_has_every_server_once_and_starts_elsewhere() -> None:
    assert len(PLANS) == sum(len(setup.precisions) for setup in SETUPS) + 4
    assert [precision for setup, precision in PLANS if setup is None] == list(graphs.NAMES)
    rounds = [list(bench.rotated(PLANS, number, 4)) for number in range(4)]
    for order in rounds:
        assert sorted(map(repr, order)) == sorted(map(repr, PLANS))
    assert len({repr(order[0]) for order in rounds}) == 4


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: str(setup.key))
def test_every_server_has_its_file_and_its_environment(setup: Setup) -> None:
    path = ROOT / "benchmarks" / (setup.module.replace(".", "/") + ".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert setup.venv is None or setup.venv in venvs.names()


def test_the_alternatives_import_nothing_of_the_service() -> None:
    for path in (ROOT / "benchmarks" / "peers").glob("*.py"):
        if path.stem != OURS:
            assert "serve_app" not in path.read_text(encoding="utf-8"), path


def test_environments_have_the_service_s_own_versions() -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for name in venvs.names():
        wanted = (venvs.REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        for line in wanted:
            if line.startswith(("torch==", "transformers==", "tokenizers==", "onnxruntime==")):
                assert line in lock, (name, line)


def test_ours_has_as_many_workers_as_the_configuration_says() -> None:
    ours = next(setup for setup in SETUPS if setup.key == OURS)
    (application,) = load(BASE, LOCAL)["applications"]
    for deployment in application["deployments"][1:]:
        user = deployment["user_config"]
        assert (user["workers"], user["threads"]) == (ours.workers, ours.threads)


@pytest.mark.parametrize("texts", [["good"], ["good", "bad"]])
@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: str(setup.key))
def test_every_protocol_asks_for_all_texts(setup: Setup, texts: list[str]) -> None:
    said = json.dumps(setup.protocol.body(texts))
    assert all(text in said for text in texts)


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("fastapi", [{"label": "A", "score": 0.9}]),
        ("infinity", {"data": [[{"label": "B", "score": 0.1}, {"label": "A", "score": 0.9}]]}),
        (
            "mlserver",
            {"outputs": [{"name": "label", "data": ["A"]}, {"name": "score", "data": [0.9]}]},
        ),
    ],
)
def test_every_protocol_finds_label_and_score(key: str, answer: Any) -> None:
    setup = next(setup for setup in SETUPS if setup.key == key)
    assert setup.protocol.read(answer) == [("A", 0.9)]


def test_what_a_server_is_told_comes_through_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for graph in (Path("/g.onnx"), None):
        given = Given(Path("/model"), graph, 8000, 2, 1, 8)
        for name, value in given.environment().items():
            monkeypatch.setenv(name, value)
        assert Given.read() == given


def test_the_alternatives_post_processing_is_softmax_and_the_best_label() -> None:
    (first, second) = best(np.array([[0.0, 0.0], [1000.0, 0.0]], dtype=np.float32), ["A", "B"])
    assert first == {"label": "A", "score": 0.5}
    assert second == {"label": "A", "score": 1.0}


def test_a_hub_folder_has_the_tokenizer_and_one_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "CACHE", tmp_path / "cache")
    model = tmp_path / "model"
    for name in ("torch/config.json", "onnx/fp32.onnx", "onnx/int8.onnx"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text(name)
    for _ in range(2):  # a second call makes it anew
        folder = graphs.hub_folder(model, "int8")
    assert (folder / "config.json").read_text() == "torch/config.json"
    assert [path.resolve().name for path in folder.glob("**/*.onnx")] == ["int8.onnx"]
    assert not list(graphs.hub_folder(model, "torch").glob("**/*.onnx"))


def test_a_server_without_its_environment_is_said_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(venvs, "CACHE", tmp_path)
    output = tmp_path / "bench.json"
    assert bench.main(["--servers", "bentoml", "--limit-texts", "0", "--output", str(output)]) == 1
    assert "python -m benchmarks.venvs bentoml" in capsys.readouterr().out
