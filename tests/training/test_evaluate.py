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


def test_a_folder_without_a_model_is_told(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", "--model", str(data), "--data", str(data)])
    assert main() == 1
    assert "holds no model" in capsys.readouterr().err
