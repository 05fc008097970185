"""The model folder as the Hugging Face pipeline reads it, in one fp16 file."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import BertForSequenceClassification, BertTokenizerFast

from training.checkpoint import Weights
from training.errors import TrainingError
from training.files import new_folder

MODEL_FILES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


def export(
    model: BertForSequenceClassification,
    halves: Weights,
    tokenizer: BertTokenizerFast,
    output: Path,
    card: str,
) -> None:
    """Write the folder under another name and put it in place at the end."""
    with new_folder(output) as folder:
        _save_weights(halves, folder / "model.safetensors", output)
        config = model.config.to_diff_dict()
        config.pop("_name_or_path", None)
        config["architectures"] = ["BertForSequenceClassification"]
        # Half precision on disk only: readers compute in what this says.
        config["dtype"] = "float32"
        config["problem_type"] = "single_label_classification"
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        tokenizer.model_max_length = model.config.max_position_embeddings
        # Training may have left its own cut in the tokenizer.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(card, encoding="utf-8")
        for path in folder.iterdir():
            path.chmod(0o644)


def _save_weights(weights: Weights, path: Path, output: Path) -> None:
    try:
        save_file(weights, path, metadata={"format": "pt"})
    except Exception as error:
        # safetensors reports a full disk in an exception type of its own.
        raise TrainingError(
            f"Could not write {output}: {error}; the same command then goes on from there."
        ) from error


def load_exported(folder: Path) -> BertForSequenceClassification:
    if not (folder / "config.json").is_file():
        raise TrainingError(f"{folder} holds no model: config.json is missing.")
    return BertForSequenceClassification.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32
    )
