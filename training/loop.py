"""The training loop: layer-wise rates, a running average of the weights, resumable."""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm
from transformers import PreTrainedModel

from training import checkpoint
from training.batches import Batch, Encoded, pad, shuffled
from training.checkpoint import Checkpoint, Validation, Weights
from training.precision import autocast, choose
from training.recipe import Recipe
from training.scoring import accuracy, probabilities


class InterruptedRunError(Exception):
    """The run was asked to stop; its checkpoint is written."""


class Fitted(NamedTuple):
    weights: Weights
    curve: list[Validation]


class Run(NamedTuple):
    """What a fit is given besides the model and the recipe."""

    name: str
    seed: int
    # The rows of an epoch, as many in each; augmentation may draw them anew.
    epoch_rows: Callable[[int], list[Encoded]]
    # Without rows to validate on, the last average is kept.
    validation: list[Encoded]
    checkpoint: Path
    fingerprint: str
    stopping: Callable[[], bool] = lambda: False


def fit(model: PreTrainedModel, recipe: Recipe, run: Run) -> Fitted:
    """Train `model`; the averaged weights that did best on validation come back."""
    torch.manual_seed(run.seed)
    fitting = _Fitting(model, recipe, run)
    saved = checkpoint.load(run.checkpoint, run.fingerprint)
    if saved:
        fitting.restore(saved)
    return fitting.finish()


class _Fitting:
    def __init__(self, model: PreTrainedModel, recipe: Recipe, run: Run) -> None:
        self.recipe, self.run, self.model = recipe, run, model
        self.dtype = choose(recipe.precision)
        self.average = copy.deepcopy(model)
        self.optimizer = torch.optim.AdamW(
            parameter_groups(model, recipe), lr=recipe.learning_rate, fused=True
        )
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.step = 0
        self.curve: list[Validation] = []
        self.best: Weights = {}
        self.epoch = -1
        self.batches: list[list[Encoded]] = []
        self._draw(0)
        self.epoch_steps = len(self.batches)
        self.total = max(1, round(recipe.epochs * self.epoch_steps))

    def restore(self, saved: Checkpoint) -> None:
        self.model.load_state_dict(saved.model)
        self.average.load_state_dict(saved.average)
        self.optimizer.load_state_dict(saved.optimizer)
        self.step, self.curve, self.best = saved.step, saved.curve, saved.best
        torch.set_rng_state(saved.rng)

    def save(self) -> None:
        state = Checkpoint(
            self.run.fingerprint,
            self.step,
            self.model.state_dict(),
            self.average.state_dict(),
            self.optimizer.state_dict(),
            torch.get_rng_state(),
            self.curve,
            self.best,
        )
        checkpoint.save(self.run.checkpoint, state)

    def finish(self) -> Fitted:
        bar = tqdm(
            total=self.total, initial=self.step, desc=self.run.name, unit="step", mininterval=5,
            file=sys.stderr,
        )  # fmt: skip
        with bar:
            while self.step < self.total:
                if self.run.stopping():
                    self.save()
                    raise InterruptedRunError(f"Stopped at step {self.step} of {self.total}")
                self._draw(self.step // self.epoch_steps)
                loss = self._train(self.batches[self.step % self.epoch_steps])
                self.step += 1
                bar.update()
                if self.run.validation and self._is_due():
                    self._validate()
                    bar.write(_line(self.curve[-1]), file=sys.stderr)
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                if self.step % self.recipe.checkpoint_steps == 0:
                    self.save()
        # A later stage may be interrupted: this one must not run again for that.
        self.save()
        return Fitted(self.best or _copy(self.average.state_dict()), self.curve)

    def _is_due(self) -> bool:
        """Whether this step ends one of an epoch's equal parts, or all."""
        parts = self.recipe.validations_per_epoch
        before, now = (step * parts // self.epoch_steps for step in (self.step - 1, self.step))
        return now > before or self.step == self.total

    def _draw(self, epoch: int) -> None:
        if epoch != self.epoch:
            rows = self.run.epoch_rows(epoch)
            self.batches = shuffled(rows, self.recipe.batch_size, f"{self.run.seed}/{epoch}")
            self.epoch = epoch

    def _train(self, rows: list[Encoded]) -> float:
        self.model.train()
        factor = rate_factor(self.step, self.total, self.recipe.warmup)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        loss = self._loss(pad(rows, self.model.config.pad_token_id or 0))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._average()
        return float(loss.detach())

    def _loss(self, batch: Batch) -> Tensor:
        with autocast(self.dtype):
            output = self.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        return functional.cross_entropy(
            output.logits.float(), batch.targets, label_smoothing=self.recipe.label_smoothing
        )

    def _average(self) -> None:
        # Early on the average follows closely, or the random head would stay in it for long.
        decay = min(self.recipe.average_decay, (1 + self.step) / (10 + self.step))
        kept, now = list(self.average.parameters()), list(self.model.parameters())
        with torch.no_grad():
            torch._foreach_lerp_(kept, now, 1 - decay)

    def _validate(self) -> None:
        rows = self.run.validation
        scores = probabilities(self.average, rows, self.dtype)
        labels = torch.tensor([row.label for row in rows])
        loss = float(functional.nll_loss(scores.clamp_min(1e-7).log(), labels))
        now = Validation(self.step, self.step / self.epoch_steps, loss, accuracy(scores, rows))
        if not self.curve or _quality(now) > max(map(_quality, self.curve)):
            self.best = _copy(self.average.state_dict())
        self.curve.append(now)


def parameter_groups(model: PreTrainedModel, recipe: Recipe) -> list[dict[str, Any]]:
    """A group for each depth and each kind of weight decay, the rate falling with depth."""
    top = model.config.num_hidden_layers + 1
    encoder = f"{model.base_model_prefix}.encoder."
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        depth, factor = top, recipe.head_rate
        if name.startswith(f"{model.base_model_prefix}.embeddings."):
            depth, factor = 0, 1.0
        elif name.startswith(encoder):
            # What an encoder has beside its layers (MPNet's table of distances) serves the first.
            place = name.removeprefix(encoder).split(".")
            depth, factor = int(place[1]) + 1 if place[0] == "layer" else 0, 1.0
        decays = parameter.dim() > 1
        if (depth, decays) not in groups:
            groups[depth, decays] = {
                "params": [],
                "lr": recipe.learning_rate * factor * recipe.layer_decay ** (top - depth),
                "weight_decay": recipe.weight_decay if decays else 0.0,
            }
        groups[depth, decays]["params"].append(parameter)
    return list(groups.values())


def rate_factor(step: int, total: int, warmup: float) -> float:
    """Up in a line to 1, then down in a line to 0."""
    rising = max(1, round(total * warmup))
    if step < rising:
        return (step + 1) / rising
    return (total - step) / max(1, total - rising)


def _quality(row: Validation) -> tuple[float, float]:
    return row.accuracy, -row.loss


def _copy(weights: Weights) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in weights.items()}


def _line(row: Validation) -> str:
    return f"epoch {row.epoch:.2f}: validation accuracy {row.accuracy:.4f}, loss {row.loss:.4f}"
