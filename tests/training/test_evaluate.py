from pathlib import Path

import pytest

from tests.training import tiny
from training.evaluate import DEV, PARAGRAPHS, TYPOS, Figure, main, read_sets, rewritten, table


def test_sets_are_those_of_the_data_folder_and_each_capability(data: Path) -> None:
    names = [name for name, _rows in read_sets(data)]
    assert names[:3] == ["SST-2 dev", "customer reviews", "checklist"]
    assert "checklist: Negation" in names
    assert "checklist: Vocabulary" in names


def test_rewritten_sets_are_the_same_each_time() -> None:
    assert rewritten(tiny.rows(20, seed=1)) == rewritten(tiny.rows(20, seed=1))


def test_paragraphs_hold_five_rows_each_used_once() -> None:
    rows = tiny.rows(20, seed=1)
    joined = dict(rewritten(rows))[PARAGRAPHS]
    assert sum(row.text.count(" is ") for row in joined) == 5 * len(joined)


def test_the_table_has_the_goal_beside_the_figure() -> None:
    lines = table([Figure(DEV, 872, 0.92), Figure(TYPOS, 872, 0.88)])
    assert f"| {DEV} | 872 | 0.9200 | 0.9106 | yes |" in lines
    assert f"| {TYPOS} | 872 | 0.8800 | 0.8900 | no |" in lines


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"config.json": b"not json"},
        {"config.json": b"{}", "vocab.txt": b"[UNK]"},
        {"config.json": b"{}", "vocab.txt": b"[UNK]", "model.safetensors": b"half a file"},
    ],
)
def test_a_folder_without_a_whole_model_is_told(
    data: Path,
    tmp_path: Path,
    files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name, content in files.items():
        (model / name).write_bytes(content)
    monkeypatch.setattr("sys.argv", ["evaluate", "--model", str(model), "--data", str(data)])
    assert main() == 1
    said = capsys.readouterr().err
    assert f"{model} holds no model" in said
    assert said.count("\n") == 1
