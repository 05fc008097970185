"""Models that are unlike BERT: each is served as transformers' pipeline answers, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
from tokenizers import Tokenizer, processors

from serve_app.engine.artifacts import Artifacts
from serve_app.engine.loading import load
from serve_app.engine.postprocess import apply
from serve_app.jobs import classifier
from serve_app.jobs.errors import PrepareError
from serve_app.jobs.prepare import main
from tests.jobs import tiny

TEXTS = [
    "the film was not very good",
    "a great film",
    "it was [SEP] not </s> this <pad> awful",
    "bad " * 200,
]


def decoder(folder: Path, names: list[str], **changes: Any) -> Path:
    """A GPT-2 whose tokenizer says that it makes `names`."""
    torch.manual_seed(3)
    made = tiny.make_tokenizer("roberta")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made.backend_tokenizer,
        pad_token="<pad>",
        model_max_length=tiny.POSITIONS,
        model_input_names=names,
    )
    settings = {"pad_token_id": tokenizer.pad_token_id, **changes}
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=tiny.POSITIONS,
        n_embd=tiny.WIDTH,
        n_layer=tiny.LAYERS,
        n_head=tiny.HEADS,
        initializer_range=0.2,
        **settings,
    )
    transformers.GPT2ForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def answers_like_the_pipeline(model: Path, prepared: Path) -> None:
    """Both backends, each text alone and all in a batch."""
    pipeline = transformers.pipeline("text-classification", model=str(model))
    artifacts = Artifacts(prepared)
    labels = artifacts.manifest.labels
    expected = []
    for answer in pipeline(TEXTS, top_k=None, truncation=True):
        scores = {item["label"]: item["score"] for item in answer}
        expected.append([scores[label] for label in labels])
    for name in ("transformers", "onnx"):
        backend, _ = load(name, artifacts, 1, "fp32")
        encoded = backend.encode(TEXTS)
        alone = np.concatenate([backend.logits([one]) for one in encoded])
        for logits in (alone, backend.logits(encoded)):
            np.testing.assert_allclose(apply(logits, "softmax"), expected, atol=1e-4)


def test_a_decoder_is_served(tmp_path: Path) -> None:
    model = decoder(tmp_path / "gpt2", ["input_ids", "attention_mask"])
    assert (
        main(["--model", str(model), "--output", str(tmp_path / "p"), "--precision", "fp32"]) == 0
    )
    answers_like_the_pipeline(model, tmp_path / "p")


def test_special_tokens_in_a_text_are_what_the_tokenizer_says(tmp_path: Path) -> None:
    model = tiny.make(tmp_path / "model")
    tiny.changed(model, "tokenizer_config.json", split_special_tokens=True)
    assert (
        main(["--model", str(model), "--output", str(tmp_path / "p"), "--precision", "fp32"]) == 0
    )
    answers_like_the_pipeline(model, tmp_path / "p")


@pytest.mark.parametrize("wrong", [-1, None])
def test_the_tokenizers_padding_is_taken_where_the_model_has_none(
    tmp_path: Path, wrong: int | None
) -> None:
    model = tiny.make(tmp_path / "model")
    tiny.changed(model, "config.json", pad_token_id=wrong)
    loaded = classifier.load(model, "model")
    assert loaded.pad == loaded.tokenizer.pad_token_id
    assert loaded.model.config.pad_token_id == loaded.pad


def test_a_padding_token_without_a_vector_is_refused(tmp_path: Path) -> None:
    model = decoder(tmp_path / "gpt2", ["input_ids", "attention_mask"], pad_token_id=None)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    tokenizer.add_special_tokens({"pad_token": "[MORE]"})
    tokenizer.save_pretrained(model)
    with pytest.raises(PrepareError, match=r"no vector for its padding token '\[MORE\]'"):
        classifier.load(model, "gpt2")


def test_an_encoder_with_a_decoder_is_refused(tmp_path: Path) -> None:
    tokenizer = tiny.make_tokenizer("roberta")
    config = transformers.BartConfig(
        vocab_size=len(tokenizer),
        d_model=tiny.WIDTH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
    )
    transformers.BartForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(PrepareError, match="an encoder with a decoder"):
        classifier.load(tmp_path, "bart")


def test_a_model_that_wants_more_than_ids_and_mask_is_refused(tmp_path: Path) -> None:
    names = ["input_ids", "token_type_ids", "attention_mask"]
    model = decoder(tmp_path / "gpt2", names)
    with pytest.raises(PrepareError, match="told of segments"):
        classifier.load(model, "gpt2")


def test_a_tokenizer_that_makes_several_segments_is_refused(tmp_path: Path) -> None:
    model = tiny.make(tmp_path / "model")
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(model / "tokenizer.json"))
    with pytest.raises(PrepareError, match="several segments"):
        classifier.load(model, "model")


def test_weights_that_are_no_numbers_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny.make(tmp_path / "model")
    weights = safetensors.torch.load_file(model / "model.safetensors")
    weights["classifier.bias"][0] = float("nan")
    safetensors.torch.save_file(weights, model / "model.safetensors", {"format": "pt"})
    assert main(["--model", str(model), "--output", str(tmp_path / "prepared")]) == 1
    assert "its weights are damaged" in capsys.readouterr().err


def test_a_model_whose_answers_move_with_the_padding_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.make(tmp_path / "model")
    from transformers import BertForSequenceClassification

    whole = BertForSequenceClassification.forward

    def without_mask(self: Any, input_ids: Any, attention_mask: Any = None, **more: Any) -> Any:
        return whole(self, input_ids, **more)

    monkeypatch.setattr(BertForSequenceClassification, "forward", without_mask)
    assert main(["--model", str(model), "--output", str(tmp_path / "prepared")]) == 1
    assert "it cannot be served in batches" in capsys.readouterr().err


def test_what_no_replica_would_serve_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replicas' own proof is the last step."""
    monkeypatch.setattr("serve_app.engine.certificate.FP32_BOUND", -1.0)
    model = tiny.make(tmp_path / "model")
    assert main(["--model", str(model), "--output", str(tmp_path / "prepared")]) == 1
    assert "no replica would serve it: transformers does not answer" in capsys.readouterr().err
    assert not (tmp_path / "prepared").exists()
