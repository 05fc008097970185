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
