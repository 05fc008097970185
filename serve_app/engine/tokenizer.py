"""Texts to token ids, and token ids to padded arrays, alike for both backends."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as FastTokenizer

from serve_app.engine.artifacts import ArtifactError
from serve_app.engine.backend import Encoded

Ids = npt.NDArray[np.int64]


class Tokenizer:
    """The model's own fast tokenizer.

    Used without the transformers wrapper, which costs several times the tokenizing of a sentence.

    Args:
        folder: the `torch/` folder of a prepared model; holds `tokenizer.json`.
        max_length: tokens, special ones included, past which a text is truncated.
        pad_id: the id that fills a batch; RoBERTa takes a text's positions from it.

    Raises:
        ArtifactError: the folder has no fast tokenizer.
    """

    def __init__(self, folder: Path, max_length: int, pad_id: int) -> None:
        try:
            self._tokenizer = FastTokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises bare Exception
            raise ArtifactError(f"{folder / 'tokenizer.json'} cannot be read: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length, direction=_truncation_side(folder))
        self._pad_id = pad_id

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """One result a text, in order, none padded."""
        return [
            Encoded(encoding.ids, bool(encoding.overflowing))
            for encoding in self._tokenizer.encode_batch(list(texts))
        ]

    def pad(self, batch: Sequence[Encoded]) -> tuple[Ids, Ids]:
        """Token ids and attention mask, each [texts, longest]."""
        shape = (len(batch), max(map(len, batch)))
        ids = np.full(shape, self._pad_id, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, encoded in enumerate(batch):
            ids[row, : len(encoded)] = encoded.ids
            mask[row, : len(encoded)] = 1
        return ids, mask


def _truncation_side(folder: Path) -> str:
    """The side that a text too long loses, as transformers would have it."""
    try:
        said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "right"
    side: str = said.get("truncation_side", "right")
    return side
