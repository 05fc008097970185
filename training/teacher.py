"""A larger model's opinions for the bundled one to learn from:
`python -m training.teacher --data DIR`.

MPNet-base (Song et al., 2020; 109 million parameters) as all-mpnet-base-v2 left it is fine-tuned
on the training rows outside the validation split, then asked about those rows and about texts made
from them (knowledge distillation, Hinton et al., 2015).
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn
from tqdm import tqdm
from transformers import (
    MPNetModel,
    MPNetPreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from training.arguments import add_data, data_folder
from training.augment import Augmentation
from training.batches import Encoded, encode
from training.data import (
    POSITIVE,
    Row,
    digest,
    read_rows,
    split_validation,
    whole_sentences,
    without_dev,
)
from training.errors import TrainingError
from training.loop import Fitted, InterruptedRunError, Run, fit
from training.memory import keep_freed_memory
from training.opinions import SHIPPED, Opinions
from training.recipe import Recipe, override
from training.scoring import probabilities
from training.start import start_folder
from training.stopping import INTERRUPTED, stop_asked, watch_signals
from training.teacher_start import teacher_folder
from training.transfer import recipe_texts

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

    base_model_prefix = "mpnet"

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
    rows = without_dev(read_rows(order.data / "sst2" / "train.tsv"), dev)
    split = split_validation(rows, recipe.validation_sentences, recipe.seed)
    sentences = whole_sentences(split.train)
    tokenizer = load_teacher_tokenizer(order.teacher)
    model = Teacher.from_pretrained(
        order.teacher, local_files_only=True, attention_probs_dropout_prob=recipe.attention_dropout
    )
    fitted = _fit(order, model, tokenizer, split.train, sentences, split.validation)
    model.load_state_dict(fitted.weights)

    made = recipe_texts(split.train, sentences, order.student, recipe)
    texts = list(dict.fromkeys([*(row.text for row in split.train), *made]))
    _ask(order, model, tokenizer, texts).write(order.output)
    return fitted.curve[-1].accuracy


def load_teacher_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The folder's own, less the padding and the cut that it was saved with."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="<pad>"
    )
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    return tokenizer


def _fit(
    order: Order,
    model: Teacher,
    tokenizer: PreTrainedTokenizerBase,
    rows: list[Row],
    sentences: list[Row],
    validation: list[Row],
) -> Fitted:
    recipe = order.recipe
    augmentation = Augmentation(rows, sentences, recipe, recipe.seed)

    def epoch_rows(epoch: int) -> list[Encoded]:
        return encode(tokenizer, augmentation.epoch(epoch), recipe.max_length)

    return fit(
        model,
        recipe,
        Run(
            name="teacher",
            seed=recipe.seed,
            epoch_rows=epoch_rows,
            validation=encode(tokenizer, validation, recipe.max_length),
            checkpoint=order.work / "teacher.pt",
            fingerprint=recipe.fingerprint("teacher", digest(rows)),
            stopping=order.stopping,
        ),
    )


def _ask(
    order: Order, model: Teacher, tokenizer: PreTrainedTokenizerBase, texts: list[str]
) -> Opinions:
    """What it thinks of each text; goes on from what was kept."""
    kept = order.work / "opinions.npz"
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
    keep_freed_memory()
    watch_signals()
    try:
        output: Path = given.output
        work: Path = given.work or output.with_name(f".{output.name}.training")
        order = Order(
            data=data_folder(given),
            output=output,
            teacher=given.teacher or teacher_folder(work / "start"),
            student=given.start or start_folder(),
            work=work,
            recipe=override(TEACHER, given.set),
            stopping=stop_asked,
        )
        print(f"The teacher's accuracy on the validation split: {teach(order):.4f}")
    except InterruptedRunError as stop:
        print(f"training: {stop}; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED
    except TrainingError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.teacher", description=__doc__)
    add_data(parser)
    parser.add_argument("--output", type=Path, default=SHIPPED, help="the file to write")
    parser.add_argument("--teacher", type=Path, help="starting weights, if not the packages'")
    parser.add_argument("--start", type=Path, help="the pupil's starting weights, likewise")
    parser.add_argument("--work", type=Path, help="where checkpoints go; hidden beside the output")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="try another recipe"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
