"""The output folder is the old one or the new one, never half of either."""

import fcntl
import os
from pathlib import Path

import pytest

from serve_app.jobs.errors import PrepareError
from serve_app.jobs.folder import refuse_strange, replacing


def write(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)


def test_a_finished_folder_takes_its_place(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "out"

    for text in ("first", "second"):
        with replacing(output) as scratch:
            assert scratch.parent == output.parent
            write(scratch, text)
            (scratch / "manifest.json").chmod(0o600)

        assert (output / "manifest.json").read_text() == text
        assert (output / "manifest.json").stat().st_mode & 0o777 == 0o644
        assert output.stat().st_mode & 0o777 == 0o755
        assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize("error", [OSError(28, "full"), KeyboardInterrupt(), PrepareError("no")])
def test_a_failure_leaves_the_old_folder_alone(error: BaseException, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with replacing(output) as scratch:
        write(scratch, "old")

    with pytest.raises(type(error)), replacing(output) as scratch:  # noqa: PT012
        write(scratch, "half")
        raise error

    assert (output / "manifest.json").read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    dead = tmp_path / ".out.new-dead"
    alive = tmp_path / ".out.new-alive"
    for left in (dead, alive):
        left.mkdir()
        write(left, "half")
    lock = os.open(alive, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)

    with replacing(tmp_path / "out") as scratch:
        write(scratch, "new")

    os.close(lock)
    assert not dead.exists()
    assert alive.exists()  # another preparation is at work there


def test_what_no_preparation_wrote_is_not_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    refuse_strange(precious)  # empty
    (precious / "chapter1.txt").write_text("years of work")

    with pytest.raises(PrepareError, match="something else than a prepared model"):
        refuse_strange(precious)
    with pytest.raises(PrepareError, match="is a file"):
        refuse_strange(precious / "chapter1.txt")
    write(precious, "{}")
    refuse_strange(precious)


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    refuse_strange(tmp_path / "link")
    with replacing(tmp_path / "link") as scratch:
        write(scratch, "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "manifest.json").read_text() == "new"


def test_a_mount_is_refused_before_the_work() -> None:
    with pytest.raises(PrepareError, match="is a mount, expected a folder"):
        refuse_strange(Path("/proc"))


def test_the_folder_one_stands_in_is_no_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refuse_strange(Path())
