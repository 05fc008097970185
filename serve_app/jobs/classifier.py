"""The torch side of a preparation: load a classifier, learn its facts, write it in float32."""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.engine.artifacts import ProblemType
from serve_app.jobs.errors import PrepareError, one_line, out_of_space

DEFAULT_MAX_LENGTH = 512
SENTENCEPIECE = re.compile("sentencepiece|tiktoken|'NoneType' object has no attribute 'endswith'")
"""What transformers says where it would have to read such a file."""
NO_LIMIT = 1_000_000
"""transformers writes 1e30 where a tokenizer names no maximum length."""


@dataclass(frozen=True)
class Classifier:
    """A loaded classifier.

    Attributes:
        model: transformers' `…ForSequenceClassification`, float32, in evaluation mode.
        tokenizer: its fast tokenizer, `model_max_length` set to `max_length`.
        labels: class names by index.
        max_length: longest input in tokens, special ones included.
        pad: the id that fills a batch.
    """

    model: Any
    tokenizer: Any
    labels: list[str]
    problem_type: ProblemType
    max_length: int
    pad: int

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())


def load(folder: Path, where: str) -> Classifier:
    """Load a classifier, whatever precision its weights are stored in, as float32.

    Args:
        folder: transformers' layout.
        where: the model's name in messages.

    Raises:
        PrepareError: it is no sequence classifier, or a file is damaged.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, use_fast=True, local_files_only=True, trust_remote_code=False
        )
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:
        if out_of_space(error):
            raise
        if "trust_remote_code" in str(error):
            raise PrepareError(
                f"{where} needs code of its own to run, which is not done here"
            ) from error
        if SENTENCEPIECE.search(str(error)):
            raise PrepareError(
                f"{where} has no tokenizer.json; to make one of what it has, transformers needs"
                " `pip install sentencepiece tiktoken`"
            ) from error
        raise PrepareError(f"{where} cannot be loaded: {one_line(error, 400)}") from error
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise PrepareError(
            f"{where} is no trained sequence classifier: its weights lack {', '.join(missing[:4])}"
        )
    config = model.config
    if config.is_encoder_decoder:
        raise PrepareError(
            f"{where} is an encoder with a decoder ({config.model_type}); only models of one part"
            " are served"
        )
    if config.problem_type == "regression":
        raise PrepareError(f"{where} predicts a number (regression); only classes are served")
    several = config.problem_type == "multi_label_classification" or config.num_labels == 1
    # what transformers' own pipeline would do with a config that does not say
    problem: ProblemType = (
        "multi_label_classification" if several else "single_label_classification"
    )
    config.problem_type = problem
    config.return_dict = True
    _check_tokenizer(tokenizer, where)
    pad = _padding(tokenizer, model, where)
    config.pad_token_id = pad
    if set(config.id2label) != set(range(config.num_labels)):
        raise PrepareError(
            f"{where} numbers its classes {', '.join(map(str, config.id2label))}, not from 0 on"
        )
    labels = [str(config.id2label[number]) for number in range(config.num_labels)]
    if len(set(labels)) != len(labels):
        raise PrepareError(f"{where} names two classes alike: {', '.join(labels)}")
    _check_segments(tokenizer, model.eval(), where)
    length = max_length(model, tokenizer)
    # some are published with the truncation and padding of their training in tokenizer.json
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    if getattr(tokenizer.backend_tokenizer.model, "dropout", None):  # another answer each time
        tokenizer.backend_tokenizer.model.dropout = None
    tokenizer.model_max_length = length
    return Classifier(model, tokenizer, labels, problem, length, pad)


def _check_tokenizer(tokenizer: Any, where: str) -> None:
    """
    Raises:
        PrepareError: replicas could not use it.
    """
    if not tokenizer.is_fast:
        raise PrepareError(f"{where} has no fast tokenizer (tokenizer.json), only a slow one")
    if tokenizer.pad_token_id is None:
        raise PrepareError(f"{where} has a tokenizer without a padding token")


def _check_segments(tokenizer: Any, model: Any, where: str) -> None:
    """
    Raises:
        PrepareError: token ids and mask, which is all that replicas give a model, are not enough.
    """
    import torch

    given = tokenizer("A text.", return_token_type_ids=True, return_tensors="pt")
    segments = given.pop("token_type_ids")
    if segments.any():
        raise PrepareError(f"{where} has a tokenizer that makes several segments of one text")
    takes = "token_type_ids" in inspect.signature(model.forward).parameters
    if takes and "token_type_ids" in tokenizer.model_input_names:
        with torch.inference_mode():
            plain = model(**given).logits
            typed = model(**given, token_type_ids=segments).logits
        if not torch.allclose(
            plain, typed, atol=1e-4, equal_nan=True
        ):  # GPT-2 adds a word's vector for each
            raise PrepareError(
                f"{where} answers otherwise where it is told of segments, as its tokenizer does"
            )


def _padding(tokenizer: Any, model: Any, where: str) -> int:
    """The id that fills a batch: the model's own, or its tokenizer's.

    Raises:
        PrepareError: the model has no vector for it.
    """
    vectors = model.get_input_embeddings().num_embeddings
    for found in (model.config.pad_token_id, tokenizer.pad_token_id):
        if isinstance(found, int) and 0 <= found < vectors:
            return found
    raise PrepareError(f"{where} has no vector for its padding token {tokenizer.pad_token!r}")


def max_length(model: Any, tokenizer: Any) -> int:
    """Longest input in tokens that both the tokenizer and the position embeddings allow.

    RoBERTa and its kin number positions from the padding index + 1, so that so many fewer fit.
    """
    positions = getattr(model.config, "max_position_embeddings", None) or DEFAULT_MAX_LENGTH
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "num_embeddings", 0):
            positions = module.num_embeddings
            if module.padding_idx is not None:
                positions -= module.padding_idx + 1
            break
    if positions < 1:  # what XLNet says for no limit
        positions = DEFAULT_MAX_LENGTH
    named = int(tokenizer.model_max_length or 0)
    return int(min(positions, named if 0 < named < NO_LIMIT else positions))


def write(classifier: Classifier, folder: Path) -> None:
    """Write the model in float32 safetensors with its tokenizer, as transformers reads them."""
    classifier.model.save_pretrained(folder, safe_serialization=True)
    # Nothing here chats, and a template's name may be any path (CVE-2026-9856).
    classifier.tokenizer.chat_template = None
    classifier.tokenizer.save_pretrained(folder)
