"""A model of DistilBERT's shape with random weights: `python -m benchmarks.shapes`.

Speed does not depend on what the weights are, and no hub need be reached. Its classes lie far
apart, so that preparation's gate, which is about answers, lets every precision pass.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.graphs import CACHE, SHAPE
from serve_app.jobs.prepare import Options, prepare

SOURCE = CACHE / "distilbert-shape"
TOKENIZER = Path("models/sst2-minilm")
SEED = 7
BIAS = 3.0
"""Of the first class over the second: whatever a text is, its label does not hang by a thread."""


def make(folder: Path = SOURCE, tokenizer: Path = TOKENIZER) -> Path:
    """Write the classifier in transformers' layout."""
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    torch.manual_seed(SEED)
    labels = {0: "NEGATIVE", 1: "POSITIVE"}
    config = DistilBertConfig(  # its defaults are distilbert-base's
        id2label=labels, label2id={name: index for index, name in labels.items()}
    )
    model = DistilBertForSequenceClassification(config).eval()
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([BIAS, 0.0]))
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(tokenizer / name, folder / name)
    said = json.loads((tokenizer / "tokenizer_config.json").read_text(encoding="utf-8"))
    said["model_input_names"] = ["input_ids", "attention_mask"]  # DistilBERT knows no segments
    (folder / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    """Make it and prepare it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shapes", description=__doc__)
    parser.add_argument("--output", type=Path, default=SHAPE)
    options = parser.parse_args(argv)
    prepare(Options(str(make()), None, options.output, None, "auto"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
