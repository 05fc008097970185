"""Files and folders that appear whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.errors import TrainingError


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Say in a sentence what the disk refused."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = "the disk is full; free some space"
        elif isinstance(error, OSError):
            reason = os.strerror(error.errno) if error.errno else str(error)
        elif type(error) is Exception:
            # The library of tokenizers reports a full disk in a bare exception.
            reason = str(error)
        else:
            raise
        raise TrainingError(
            f"Could not write {target}: {reason}; the same command then goes on from there."
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill; it takes the place of `path` once the block ends without an error."""
    partial = path.with_name(f".{path.name}.partial")
    old = path.with_name(f".{path.name}.old")
    with disk_errors(path):
        try:
            _put_back(old, path)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            for written in (*partial.rglob("*"), partial):
                _sync(written)
            # A folder cannot replace one that is not empty: two renames, and the old one last.
            shutil.rmtree(old, ignore_errors=True)
            if path.exists():
                path.rename(old)
            try:
                partial.rename(path)
            finally:
                _put_back(old, path)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _put_back(old: Path, path: Path) -> None:
    """What ended between the two renames, an error or a power cut, leaves the old folder."""
    if old.exists() and not path.exists():
        old.rename(path)


def _sync(path: Path) -> None:
    """Have the disk hold what was written: a rename may come to it first."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
