"""What the training commands have in common on the command line."""

import argparse
import os
from pathlib import Path

from training.errors import TrainingError

_VARIABLE = "SENTIMENT_DATA"


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, help=f"folder with sst2/, cr/ and checklist/; or {_VARIABLE}"
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start", type=Path, help="starting weights, if not the package's")
    parser.add_argument(
        "--work",
        type=Path,
        help="in which a hidden folder has the checkpoints until the end; that of the output",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="try another recipe"
    )


def work_folder(arguments: argparse.Namespace) -> Path:
    """A folder of the run's own: it is deleted at the end."""
    output: Path = arguments.output
    parent: Path = arguments.work or output.parent
    return parent / f".{output.name}.training"


def data_folder(arguments: argparse.Namespace) -> Path:
    named = arguments.data or os.environ.get(_VARIABLE)
    if not named:
        raise TrainingError(f"Where is the data? Give --data DIR or set {_VARIABLE}.")
    folder = Path(named)
    if not folder.is_dir():
        raise TrainingError(f"The data folder {folder} does not exist.")
    return folder
