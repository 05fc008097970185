"""The output folder: written beside its place, moved there when complete, or not at all."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serve_app.engine.artifacts import MANIFEST
from serve_app.jobs.errors import PrepareError
from serve_app.jobs.stopping import undisturbed


def refuse_strange(output: Path) -> None:
    """Refuse to replace what no preparation wrote.

    Raises:
        PrepareError: something else stands at the output's place.
    """
    output = output.resolve()  # of `.`, its name
    if output.is_mount():  # which no rename replaces
        raise PrepareError(f"{output} is a mount, expected a folder: name one below it")
    if output.is_dir():
        if any(output.iterdir()) and not (output / MANIFEST).is_file():
            raise PrepareError(
                f"{output} holds something else than a prepared model; it is left as it is"
            )
    elif output.exists():
        raise PrepareError(f"{output} is a file, expected a folder")


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A scratch folder that takes the output's place once the block ends without an error.

    It stands beside the output, hence on the same file system: the move is a rename. Whatever
    ends the block early, a signal included, takes the scratch folder with it and leaves the old
    output as it was. What a killed process left is taken away by the next one.
    """
    output = output.resolve()  # of a link, what it leads to
    output.parent.mkdir(parents=True, exist_ok=True)
    _sweep(output)
    scratch = Path(tempfile.mkdtemp(prefix=f".{output.name}.new-", dir=output.parent))
    held = lock(scratch)
    try:
        yield scratch
        with undisturbed():
            _readable(scratch)
            _move(scratch, output)
    finally:
        with undisturbed():
            shutil.rmtree(scratch, ignore_errors=True)
            if held is not None:
                os.close(held)


def _move(scratch: Path, output: Path) -> None:
    try:
        os.replace(scratch, output)  # noqa: PTH105
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        old = scratch.with_name(f"{scratch.name}.old")
        output.rename(old)
        try:
            scratch.rename(output)
        except OSError:
            old.rename(output)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _readable(folder: Path) -> None:
    """Let every user read it: an image bakes it as one and serves it as another."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _sweep(output: Path) -> None:
    """Remove scratch folders whose process is gone: nobody holds their lock any more."""
    for left in output.parent.glob(f".{output.name}.new-*"):
        held = lock(left)
        if held is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(held)


def lock(folder: Path) -> int | None:
    """Lock a folder for as long as the process lives; None where another one has it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
