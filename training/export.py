"""The model folder as the Hugging Face pipeline reads it, in one fp16 file."""

import json
from pathlib import Path

import torch
from transformers import BertForSequenceClassification, BertTokenizerFast

from training.files import new_folder
from training.start import loading

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
    weights: bytes,
    tokenizer: BertTokenizerFast,
    output: Path,
    card: str,
) -> None:
    """Write the folder under another name and put it in place at the end."""
    with new_folder(output) as folder:
        (folder / "model.safetensors").write_bytes(weights)
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


def load_exported(folder: Path) -> BertForSequenceClassification:
    with loading(folder):
        return BertForSequenceClassification.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32
        )
