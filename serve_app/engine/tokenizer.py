"""Texts to token ids, and token ids to padded arrays, alike for both backends."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding
from tokenizers import Tokenizer as FastTokenizer

from serve_app.engine.artifacts import ArtifactError
from serve_app.engine.backend import Encoded

Ids = npt.NDArray[np.int64]

AMPLE = 16
"""Characters for each token that is kept. Of a longer text this much is tokenized first: a megabyte
takes seconds and hundreds of megabytes, for the 512 tokens that the model reads of it."""
FARTHEST = 64
"""Times as much is tokenized at the most, where hardly anything becomes tokens: endless words,
blanks or control characters. What comes after it the model does not read."""


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
        said = _configuration(folder)
        # Whether `[SEP]` in a text is one token or what it is spelt with.
        self._tokenizer.encode_special_tokens = bool(said.get("split_special_tokens", False))
        side: str = said.get("truncation_side", "right")  # which a text too long loses
        self._tokenizer.enable_truncation(max_length, direction=side)
        # Where the end is what is kept, every text is tokenized whole.
        self._ample = max_length * AMPLE if side == "right" else sys.maxsize
        self._pad_id = pad_id

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """One result a text, in order, none padded."""
        return [self._encode(text) for text in texts]

    def _encode(self, text: str) -> Encoded:
        encoding = self._one(text[: self._ample])
        if len(text) <= self._ample or _settled(encoding):
            return Encoded(encoding.ids, bool(encoding.overflowing))
        return self._encode_long(text)

    def _one(self, text: str) -> Encoding:
        # A batch of one: `encode` holds the interpreter's lock while it works, and of two texts or
        # more a batch waits for threads that all of the process share, behind whatever they have.
        (encoding,) = self._tokenizer.encode_batch([text])
        return encoding

    def _encode_long(self, text: str) -> Encoded:
        """A text of whose first `_ample` characters the tokens did not tell."""
        size = self._ample
        while True:
            size *= 8
            encoding = self._one(text[:size])
            far = size >= FARTHEST * self._ample and size < len(text)
            if far or size >= len(text) or _settled(encoding):
                return Encoded(encoding.ids, far or bool(encoding.overflowing))

    def pad(self, batch: Sequence[Encoded]) -> tuple[Ids, Ids]:
        """Token ids and attention mask, each [texts, longest]."""
        return pad([encoded.ids for encoded in batch], self._pad_id)


def pad(batch: Sequence[Sequence[int]], pad_id: int) -> tuple[Ids, Ids]:
    """Token ids and attention mask of texts, each [texts, longest]."""
    shape = (len(batch), max(map(len, batch)))
    ids = np.full(shape, pad_id, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.int64)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


def _settled(encoding: Encoding) -> bool:
    """Whether the tokens kept of a text's beginning are those of the whole text.

    A token depends on its word alone, and the word at the cut is not among those that are kept.
    """
    if not encoding.overflowing:
        return False
    kept = [word for word in encoding.word_ids if word is not None]
    last = [word for word in encoding.overflowing[-1].word_ids if word is not None]
    return bool(kept and last) and last[-1] > kept[-1]


def _configuration(folder: Path) -> dict[str, Any]:
    """What transformers' wrapper is told beside `tokenizer.json`."""
    try:
        said: dict[str, Any] = json.loads(
            (folder / "tokenizer_config.json").read_text(encoding="utf-8")
        )
    except FileNotFoundError:
        return {}
    return said
