import errno
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.files import new_folder, write_atomically

FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for text in ("old", "new"):
        with new_folder(target) as folder:
            (folder / "config.json").write_text(text)
    assert (target / "config.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def fill_until_full(target: Path) -> None:
    with new_folder(target) as folder:
        (folder / "config.json").write_text("half")
        raise FULL


def test_a_full_disk_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with new_folder(target) as folder:
        (folder / "config.json").write_text("old")
    with pytest.raises(TrainingError, match="the disk is full"):
        fill_until_full(target)
    assert (target / "config.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "fit.pt"
    write_atomically(target, b"old")

    def full(_descriptor: int) -> None:
        raise FULL

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TrainingError, match=r"fit\.pt: the disk is full"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["fit.pt"]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.rename"])
def test_what_fails_at_the_end_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    target = tmp_path / "model"
    with new_folder(target) as folder:
        (folder / "config.json").write_text("old")
    rename = Path.rename

    def fails(its: object, *more: Path) -> None:
        if isinstance(its, Path) and "partial" not in its.name:
            rename(its, *more)
        else:
            raise FULL

    def fill() -> None:
        with new_folder(target) as folder:
            (folder / "config.json").write_text("new")

    with monkeypatch.context() as patch:
        patch.setattr(step, fails)
        with pytest.raises(TrainingError, match="the disk is full"):
            fill()
    assert (target / "config.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_power_cut_between_the_renames_leaves_the_old_folder(tmp_path: Path) -> None:
    (tmp_path / ".model.old").mkdir()
    (tmp_path / ".model.old" / "config.json").write_text("old")
    with pytest.raises(TrainingError):
        fill_until_full(tmp_path / "model")
    assert (tmp_path / "model" / "config.json").read_text() == "old"
