"""A larger model's opinions for the bundled one to learn from:
`python -m training.teacher --data DIR`.

MPNet-base (Song et al., 2020; 109 million parameters) as all-mpnet-base-v2 left it is fine-tuned
on the training rows outside the validation split, then asked about those rows and about texts made
from them (knowledge distillation, Hinton et al., 2015).
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import (
    MPNetModel,
    MPNetPreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from training.arguments import add_data, add_run, data_folder, work_folder
from training.batches import encode
from training.command import run, stop_asked
from training.data import POSITIVE, Row, read_rows, split_validation, training_rows
from training.loop import InterruptedRunError
from training.opinions import SHIPPED, Opinions
from training.recipe import Recipe, override
from training.scoring import probabilities
from training.stage import digest_of, fit_stage
from training.start import loading, start_folder
from training.teacher_start import teacher_folder
from training.transfer import transfer_texts

TEACHER = replace(
    Recipe(),
    epochs=1.0,
    batch_size=32,
    learning_rate=3e-5,
    layer_decay=0.9,
    head_rate=10.0,
    label_smoothing=0.03,
    attention_dropout=0.1,
    average_decay=0.0,
    natural_share=0.4,
    typo_share=0.03,
    framed_share=0.0,
    paragraph_share=0.002,
)
_ASKED_AT_ONCE = 2_048


class Order(NamedTuple):
    """Whom to teach, on what, and where the opinions go."""

    data: Path
    output: Path
    # The teacher's starting weights, and those of the model that is to learn from it.
    teacher: Path
    student: Path
    work: Path
    recipe: Recipe = TEACHER
    stopping: Callable[[], bool] = lambda: False


class Teacher(MPNetPreTrainedModel):  # type: ignore[misc]
    """MPNet under a linear head on the mean of its tokens, as its starting weights were trained."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.mpnet = MPNetModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, 2)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """Token ids and mask, (texts, tokens), to logits, (texts, 2)."""
        hidden = self.mpnet(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(mean)))


def teach(order: Order) -> float:
    """Fit the teacher, write what it thinks, and return its accuracy on the validation split."""
    recipe = order.recipe
    dev = read_rows(order.data / "sst2" / "dev.tsv")
    split = split_validation(
        training_rows(order.data, dev), recipe.validation_sentences, recipe.seed
    )
    tokenizer = load_teacher_tokenizer(order.teacher)
    torch.manual_seed(recipe.seed)  # its head is drawn, and a checkpoint belongs to one
    with loading(order.teacher):
        model = Teacher.from_pretrained(
            order.teacher,
            local_files_only=True,
            attention_probs_dropout_prob=recipe.attention_dropout,
        )
    fitted = fit_stage(
        model,
        tokenizer,
        recipe,
        name="teacher",
        seed=recipe.seed,
        rows=split.train,
        validation=split.validation,
        work=order.work,
        stopping=order.stopping,
    )
    model.load_state_dict(fitted.weights)

    made = transfer_texts(split, order.student, recipe)
    texts = list(dict.fromkeys([*(row.text for row in split.train), *made]))
    _ask(order, model, tokenizer, texts).write(order.output)
    shutil.rmtree(order.work, ignore_errors=True)
    # Without a split nothing is known of it.
    return max((row.accuracy for row in fitted.curve), default=float("nan"))


def load_teacher_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The folder's own, less the padding and the cut that it was saved with."""
    with loading(folder, "tokenizer.json"):
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"), pad_token="<pad>"
        )
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    return tokenizer


def _ask(
    order: Order, model: Teacher, tokenizer: PreTrainedTokenizerBase, texts: list[str]
) -> Opinions:
    """What it thinks of each text; goes on from what was kept."""
    # As with checkpoints: what another teacher thought or of other texts must not go on from here.
    key = order.recipe.fingerprint(digest_of(model), *texts)
    kept = order.work / f"opinions-{key}.npz"
    opinions = Opinions.read(kept) if kept.exists() else Opinions()
    left = [text for text in texts if opinions.get(text) is None]
    with tqdm(
        total=len(texts), initial=len(texts) - len(left), desc="opinions", unit="text"
    ) as bar:
        for start in range(0, len(left), _ASKED_AT_ONCE):
            if order.stopping():
                raise InterruptedRunError(f"Stopped at text {bar.n} of {len(texts)}")
            part = left[start : start + _ASKED_AT_ONCE]
            encoded = encode(
                tokenizer, [Row(text, POSITIVE) for text in part], order.recipe.max_length
            )
            scores = probabilities(model, encoded)[:, POSITIVE].tolist()
            for text, positive in zip(part, scores, strict=True):
                opinions.add(text, positive)
            opinions.write(kept)
            bar.update(len(part))
    return opinions


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    return run(lambda: print(f"Accuracy on the validation split: {teach(_order(given)):.4f}"))


def _order(given: argparse.Namespace) -> Order:
    work = work_folder(given)
    return Order(
        data=data_folder(given),
        output=given.output,
        teacher=given.teacher or teacher_folder(work / "start"),
        student=given.start or start_folder(),
        work=work,
        recipe=override(TEACHER, given.set),
        stopping=stop_asked,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.teacher", description=__doc__)
    add_data(parser)
    parser.add_argument("--output", type=Path, default=SHIPPED, help="the file to write")
    parser.add_argument("--teacher", type=Path, help="its starting weights, if not the packages'")
    add_run(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
