"""The torch side of a preparation: load a classifier, learn its facts, write it in float32."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.engine.artifacts import ProblemType
from serve_app.jobs.errors import PrepareError, out_of_space

DEFAULT_MAX_LENGTH = 512
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
    """

    model: Any
    tokenizer: Any
    labels: list[str]
    problem_type: ProblemType
    max_length: int

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
        text = " ".join(str(error).split())
        raise PrepareError(f"{where} cannot be loaded: {text[:400]}") from error
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise PrepareError(
            f"{where} is no trained sequence classifier: its weights lack {', '.join(missing[:4])}"
        )
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise PrepareError(f"{where} has no fast tokenizer with a padding token")
    config = model.config
    if config.problem_type == "regression":
        raise PrepareError(f"{where} predicts a number (regression); only classes are served")
    several = config.problem_type == "multi_label_classification" or config.num_labels == 1
    # what transformers' own pipeline would do with a config that does not say
    problem: ProblemType = (
        "multi_label_classification" if several else "single_label_classification"
    )
    config.problem_type = problem
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    if set(config.id2label) != set(range(config.num_labels)):
        raise PrepareError(
            f"{where} numbers its classes {', '.join(map(str, config.id2label))}, not from 0 on"
        )
    labels = [str(config.id2label[number]) for number in range(config.num_labels)]
    if len(set(labels)) != len(labels):
        raise PrepareError(f"{where} names two classes alike: {', '.join(labels)}")
    length = max_length(model, tokenizer)
    # some are published with the truncation and padding of their training in tokenizer.json
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = length
    return Classifier(model.eval(), tokenizer, labels, problem, length)


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
    named = tokenizer.model_max_length
    return int(min(positions, named if named and named < NO_LIMIT else positions))


def write(classifier: Classifier, folder: Path) -> None:
    """Write the model in float32 safetensors with its tokenizer, as transformers reads them."""
    classifier.model.save_pretrained(folder, safe_serialization=True)
    classifier.tokenizer.save_pretrained(folder)
