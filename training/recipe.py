"""The numbers of the training run, in one place."""

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace

from training.errors import TrainingError

# These say which stages there are; a finished stage stays good when they change.
_OF_STAGES = ("last_epochs", "last_rate", "refit", "seeds")
_TRUTHS = {"True": True, "False": False}
_SHARES = ("layer_decay", "label_smoothing", "warmup", "average_decay", "attention_dropout",
           "natural_share", "typo_share", "turned_share", "framed_share",
           "paragraph_share", "teacher_share")  # fmt: skip
# Bounds: without an entry a setting is 0 or more, and finite.
_LEAST = {
    "batch_size": 1,
    "max_length": 3,  # two tokens of a text are not its own
    "seeds": 1,
    "validations_per_epoch": 1,
    "checkpoint_steps": 1,
}
_MOST = dict.fromkeys(_SHARES, 1) | {"seed": 2**32 - 1}


@dataclass(frozen=True)
class Recipe:
    seed: int = 0
    validation_sentences: int = 1500
    epochs: float = 2.0
    batch_size: int = 64
    max_length: int = 256
    learning_rate: float = 1.6e-4
    # Each layer below the top learns at this share of the rate of the one above it.
    layer_decay: float = 0.92
    # The new head's rate, as a multiple.
    head_rate: float = 1.0
    label_smoothing: float = 0.0
    warmup: float = 0.06
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    # Decay a step of the running average of the weights, which is what is kept.
    average_decay: float = 0.999
    # Costs a tenth of a step.
    attention_dropout: float = 0.0
    # Shares of the rows: those respelt as people write, mistyped, turned round in meaning, put
    # into frames, and joined to paragraphs.
    natural_share: float = 0.3
    typo_share: float = 0.25
    turned_share: float = 0.05
    framed_share: float = 0.0
    paragraph_share: float = 0.01
    # Texts without labels, made for the teacher to judge; see `transfer`.
    transfer_texts: int = 30_000
    # Where there is a teacher, its opinion makes this share of a row's target, the label the rest.
    teacher_share: float = 0.8
    # Then a last stage, from what these epochs have left, at this rate and on rows drawn anew.
    last_epochs: float = 1.0
    last_rate: float = 8e-5
    # Once it has been validated, the last stage again on all rows, those of the split with them:
    # what is kept then.
    refit: bool = False
    # The shipped weights are the mean of those of this many seeds.
    seeds: int = 1
    validations_per_epoch: int = 3
    checkpoint_steps: int = 250
    # "auto" is bfloat16 where the processor multiplies it, else float32.
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, (str, bool)):
                continue
            least, most = _LEAST.get(name, 0), _MOST.get(name, sys.float_info.max)
            if not least <= value <= most:  # nan is neither
                limit = f"from {least} to {most}" if name in _MOST else f"{least} or more, finite"
                raise TrainingError(f"'{name}' is {limit}, not {value}.")

    def fingerprint(self, *parts: str) -> str:
        """Names a stage: a checkpoint of one recipe and data must not continue another."""
        settings = {name: value for name, value in asdict(self).items() if name not in _OF_STAGES}
        text = json.dumps([settings, *parts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def last(self) -> "Recipe":
        """That of the last stage."""
        return replace(self, epochs=self.last_epochs, learning_rate=self.last_rate)


def override(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """The recipe with `name=value` settings, as given on the command line."""
    kinds = {field.name: type(getattr(recipe, field.name)) for field in fields(recipe)}
    changes: dict[str, object] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in kinds:
            raise TrainingError(f"The recipe has no '{name}'; it has {', '.join(kinds)}.")
        kind = kinds[name]
        try:
            changes[name] = _TRUTHS[value] if kind is bool else kind(value)
        except (ValueError, KeyError):
            raise TrainingError(f"'{name}' takes {kind.__name__}, not '{value}'.") from None
    return replace(recipe, **changes)  # type: ignore[arg-type]
