"""All that a run needs to go on where it was interrupted."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.errors import TrainingError
from training.files import write_atomically

Weights = dict[str, Tensor]


class Validation(NamedTuple):
    step: int
    epoch: float
    loss: float
    accuracy: float


class Checkpoint(NamedTuple):
    fingerprint: str
    step: int
    model: Weights
    average: Weights
    optimizer: dict[str, Any]
    rng: Tensor
    curve: list[Validation]
    best: Weights


def save(path: Path, checkpoint: Checkpoint) -> None:
    # Through memory, so that a full disk is an ordinary OSError before anything is replaced.
    buffer = io.BytesIO()
    torch.save(checkpoint._asdict() | {"curve": [tuple(row) for row in checkpoint.curve]}, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path, fingerprint: str) -> Checkpoint | None:
    """The checkpoint, or nothing where none was written yet."""
    if not path.exists():
        return None
    try:
        content = torch.load(path, weights_only=True)
        curve = [Validation(*row) for row in content.pop("curve")]
        checkpoint = Checkpoint(curve=curve, **content)
    except Exception as error:
        # Damaged bytes raise whatever they happen to spell, and torch's text advises to trust them.
        raise TrainingError(
            f"{path} cannot be read: delete it to start anew ({type(error).__name__})."
        ) from error
    if checkpoint.fingerprint != fingerprint:
        raise TrainingError(
            f"{path} belongs to another recipe, start or precision, or to other data: delete it to"
            " start anew."
        )
    return checkpoint
