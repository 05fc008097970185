"""One fit of one model, student or teacher: the rows of its epochs, and where it goes on from."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from training.augment import Augmentation
from training.batches import Encoded, encode
from training.data import Row, digest, whole_sentences
from training.loop import Fitted, Run, fit
from training.precision import choose
from training.recipe import Recipe


def fit_stage(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
    *,
    name: str,
    seed: int,
    rows: list[Row],
    validation: list[Row],
    transfer: Sequence[Row] = (),
    work: Path,
    stopping: Callable[[], bool],
) -> Fitted:
    """Train `model` on `rows` and `transfer`, each epoch rewritten anew; see `loop.fit`."""
    augmentation = Augmentation(rows, whole_sentences(rows), recipe, seed, transfer)
    longest = min(recipe.max_length, model.config.max_position_embeddings)

    def epoch_rows(epoch: int) -> list[Encoded]:
        return encode(tokenizer, augmentation.epoch(epoch), longest)

    run = Run(
        name=f"{name}-{seed}",
        seed=seed,
        epoch_rows=epoch_rows,
        validation=encode(tokenizer, validation, longest),
        checkpoint=work / f"{name}-{seed}.pt",
        # Another precision or start must not go on from this one's checkpoint.
        fingerprint=recipe.fingerprint(
            name,
            str(seed),
            digest(rows),
            digest(transfer),
            str(choose(recipe.precision)),
            digest_of(model),
        ),
        stopping=stopping,
    )
    return fit(model, recipe, run)


def digest_of(model: PreTrainedModel) -> str:
    """Names these weights."""
    total = hashlib.sha256()
    for tensor in model.state_dict().values():
        total.update(tensor.contiguous().view(torch.uint8).numpy())
    return total.hexdigest()
