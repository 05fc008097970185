"""Tiny random classifiers of every family served, with tokenizers made on the spot."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WIDTH, LAYERS, HEADS = 32, 2, 4
POSITIONS = 64
WORDS = "the a film was is not very good bad great awful and but i it this that of to in".split()
FAMILIES = ("bert", "distilbert", "roberta", "xlm-roberta", "electra", "deberta", "deberta-v2")


def make(
    folder: Path,
    family: str = "bert",
    labels: tuple[str, ...] = ("NEGATIVE", "POSITIVE"),
    *,
    seed: int = 4,
    spread: float = 0.4,
    **changes: Any,
) -> Path:
    """Write a random classifier in transformers' layout.

    Args:
        family: one of `FAMILIES`.
        labels: class names.
        seed: the default gives a BERT whose labels all have a margin over 0.2, which int8 keeps.
        spread: standard deviation of the weights; the default gives probabilities that differ.
        changes: settings of the config, such as `problem_type`.
    """
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(family)
    numbers = dict(enumerate(labels))
    common: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "id2label": numbers,
        "label2id": {name: number for number, name in numbers.items()},
        "initializer_range": spread,
    }
    if family == "distilbert":
        shape: dict[str, Any] = {"dim": WIDTH, "n_layers": LAYERS, "n_heads": HEADS}
        shape |= {"hidden_dim": 2 * WIDTH, "max_position_embeddings": POSITIONS}
    else:
        shape = {
            "hidden_size": WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "intermediate_size": 2 * WIDTH,
            "max_position_embeddings": POSITIONS + 2 * ("roberta" in family),
        }
    if "roberta" in family:
        shape |= {"type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    if family == "electra":
        shape["embedding_size"] = WIDTH // 2
    if family.startswith("deberta"):
        shape |= {
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "type_vocab_size": 0,
            "pooler_hidden_size": WIDTH,
        }
    if family == "deberta-v2":
        shape |= {"position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True}
    config = transformers.AutoConfig.for_model(family, **(common | shape | changes))
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def changed(folder: Path, name: str, **changes: Any) -> None:
    """Change fields of one of a model's JSON files."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def make_tokenizer(family: str) -> Any:
    """A fast tokenizer of the family's own kind over a vocabulary of letters and a few words."""
    letters = [chr(code) for code in range(33, 127)]
    if family in ("bert", "distilbert", "electra"):
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        vocabulary = special + letters + [f"##{letter}" for letter in letters] + WORDS
        index = {word: number for number, word in enumerate(dict.fromkeys(vocabulary))}
        tokenizer = Tokenizer(models.WordPiece(index, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
        kind = {
            "bert": transformers.BertTokenizerFast,
            "distilbert": transformers.DistilBertTokenizerFast,
            "electra": transformers.ElectraTokenizerFast,
        }[family]
        return kind(tokenizer_object=tokenizer, model_max_length=POSITIONS)
    if family in ("roberta", "deberta"):
        deberta = family == "deberta"
        special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
        special = special if deberta else ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        index = {word: number for number, word in enumerate(special + alphabet)}
        tokenizer = Tokenizer(models.BPE(index, []))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        start, end = ("[CLS]", "[SEP]") if deberta else ("<s>", "</s>")
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{start} $A {end}",
            special_tokens=[(start, index[start]), (end, index[end])],
        )
        fast = transformers.DebertaTokenizerFast if deberta else transformers.RobertaTokenizerFast
        # as many real ones do: no maximum length in the tokenizer, which then reads 1e30
        return fast(tokenizer_object=tokenizer)
    deberta = family == "deberta-v2"
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"] if deberta else ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [(word, 0.0) for word in special]
    pieces += [(f"▁{word}", -4.0) for word in WORDS]
    pieces += [(letter, -8.0) for letter in ["▁", *letters]]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    start, end = (special[1], special[2]) if deberta else (special[0], special[2])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, special.index(start)), (end, special.index(end))],
    )
    if deberta:
        return transformers.DebertaV2TokenizerFast(tokenizer_object=tokenizer)
    return transformers.XLMRobertaTokenizerFast(tokenizer_object=tokenizer)
