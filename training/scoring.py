"""Probabilities and accuracy of a model on rows."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from training.batches import Encoded, by_length, pad
from training.precision import autocast


def probabilities(
    model: PreTrainedModel,
    rows: list[Encoded],
    dtype: torch.dtype = torch.float32,
    batch_size: int = 64,
) -> Tensor:
    """The probability of each label, a line a row, in the order of the rows."""
    model.eval()
    scores = torch.zeros(len(rows), 2)
    padding = model.config.pad_token_id or 0
    with torch.inference_mode(), autocast(dtype):
        for places, neighbours in by_length(rows, batch_size):
            batch = pad(neighbours, padding)
            logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
            scores[places] = logits.float().softmax(dim=-1)
    return scores


def accuracy(scores: Tensor, rows: list[Encoded]) -> float:
    labels = torch.tensor([row.label for row in rows])
    return float((scores.argmax(dim=-1) == labels).float().mean())
