"""A graph compared with torch: parity, label flips, drift with the batch, accuracy."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serve_app.engine.artifacts import Measured, ProblemType
from serve_app.engine.certificate import BATCH_BOUND
from serve_app.engine.onnx_backend import Feed
from serve_app.engine.postprocess import DEFAULT_FUNCTION, Logits, apply, flipped, flips, margins
from serve_app.engine.tokenizer import pad

Probabilities = npt.NDArray[np.float64]
Run = Callable[[Feed], Logits]
Plan = list[list[int]]

FLIPS = 0.01
"""Largest share of texts whose label int8 may change."""
HEADROOM = 1.5
"""How much wider than the margin of any flip that was seen a margin is that is not in doubt."""
DEVIATIONS = 4.0
"""Standard deviations of int8's noise that such a margin exceeds."""
TINY = 1e-12
"""Least probability of which the logarithm is taken."""
COMPANY = 16
"""Texts of a batch of neighbours in length."""
STRANGERS = 8
"""Texts of a batch of short and long ones."""
STRANGE_TEXTS = 200
"""Of a labelled file, those that are batched so."""
PADDED = 2048
"""Most tokens of a batch, padding included; beside the longest texts stand few others."""


@dataclass(frozen=True)
class Sample:
    """Tokenized texts: the fixed ones first, then the labelled ones.

    Attributes:
        ids: token ids of each text, truncated at the model's maximum length.
        fixed: how many of the texts are fixed ones.
        classes: the right class of each text from number `fixed` on; empty without a file.
    """

    ids: list[list[int]]
    fixed: int
    classes: list[int]
    pad: int

    def feed(self, numbers: Sequence[int]) -> Feed:
        """Texts padded to the longest of them."""
        ids, mask = pad([self.ids[number] for number in numbers], self.pad)
        return {"input_ids": ids, "attention_mask": mask}

    def alone(self) -> Plan:
        return [[number] for number in range(len(self.ids))]

    def sorted(self) -> Plan:
        """Neighbours in length, as the service batches them."""
        order = sorted(range(len(self.ids)), key=lambda number: len(self.ids[number]))
        return self._batches(order, COMPANY)

    def strangers(self) -> Plan:
        """Short beside long, most of it padding; of a long file only the first texts."""
        order = list(range(min(len(self.ids), self.fixed + STRANGE_TEXTS)))
        random.Random(0).shuffle(order)
        return self._batches(order, STRANGERS)

    def _batches(self, order: list[int], most: int) -> Plan:
        """Cut an order into batches of so many texts and of at most `PADDED` tokens."""
        plan: Plan = []
        longest = 0
        for number in order:
            longest = max(longest, len(self.ids[number]))
            if not plan or len(plan[-1]) == most or longest * (len(plan[-1]) + 1) > PADDED:
                plan.append([])
                longest = len(self.ids[number])
            plan[-1].append(number)
        return plan


@dataclass(frozen=True)
class Verdict:
    """What was measured of one graph, and the margin below which its label is in doubt."""

    measured: Measured
    threshold: float

    def faults(self) -> list[str]:
        """Why an int8 graph is not to be served; empty if it may be."""
        found = self.measured
        share = found.flips / found.texts
        faults = []
        if share > FLIPS:
            faults.append(
                f"its label differs from torch on {found.flips} of {found.texts} texts"
                f" ({share:.1%}, at most {FLIPS:.0%})"
            )
        if found.batch_drift > BATCH_BOUND:
            faults.append(
                f"a probability moves by {found.batch_drift:.1g} with the batch (at most"
                f" {BATCH_BOUND})"
            )
        return faults


def tokenize(tokenizer: Any, texts: list[str], fixed: int, classes: list[int], pad: int) -> Sample:
    """Token ids of texts, truncated at the tokenizer's `model_max_length`.

    Args:
        texts: the fixed ones first.
        fixed: how many those are.
        classes: the right class of each of the others, or empty.
        pad: the id that fills a batch.
    """
    encoded = tokenizer(
        texts,
        truncation=True,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    return Sample(ids=encoded["input_ids"], fixed=fixed, classes=classes, pad=pad)


def first(sample: Sample, count: int) -> Sample:
    """The first texts of a sample, as a sample of fixed ones."""
    return Sample(ids=sample.ids[:count], fixed=count, classes=[], pad=sample.pad)


def predict(run: Run, sample: Sample, plan: Plan, problem: ProblemType) -> Probabilities:
    """Probabilities [texts, classes] of the texts in a plan; rows of others are NaN."""
    function = DEFAULT_FUNCTION[problem]
    answers: dict[int, npt.NDArray[np.float64]] = {}
    for numbers in plan:
        batch = apply(run(sample.feed(numbers)), function)
        answers.update(zip(numbers, batch, strict=True))
    classes = len(next(iter(answers.values())))
    nothing = np.full(classes, np.nan)
    return np.stack([answers.get(number, nothing) for number in range(len(sample.ids))])


def accuracy(probabilities: Probabilities, sample: Sample) -> float | None:
    """Share of the labelled texts whose best class is the right one, where there are several."""
    if not sample.classes or probabilities.shape[1] < 2:
        return None
    best = probabilities[sample.fixed :].argmax(axis=1)
    return float(np.mean(best == np.asarray(sample.classes)))


def measure(run: Run, reference: Probabilities, sample: Sample, problem: ProblemType) -> Verdict:
    """Run a graph on each text alone, among its like and among strangers.

    Args:
        run: the graph.
        reference: torch's probabilities of the same texts.
    """
    alone = predict(run, sample, sample.alone(), problem)
    among = predict(run, sample, sample.sorted(), problem)
    strange = predict(run, sample, sample.strangers(), problem)
    difference = np.abs(alone - reference)
    pairs = ((alone, among), (alone, strange), (among, strange))
    drift = max(float(np.nanmax(np.abs(one - other))) for one, other in pairs)
    measured = Measured(
        texts=len(alone),
        flips=flips(alone, reference, problem),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        batch_drift=drift,
        accuracy=accuracy(alone, sample),
    )
    return Verdict(measured, threshold(alone, reference, problem))


def threshold(
    probabilities: Probabilities, reference: Probabilities, problem: ProblemType
) -> float:
    """Margin, see `postprocess.margins`, below which torch is asked as well.

    Int8 moves the difference of two logits, or with several labels at once each logit, by noise of
    about the same size for every text, and an answer flips only where that difference, or that
    logit, is smaller than the noise. So the margin is that of `DEVIATIONS` standard deviations of
    the noise, tanh(difference / 2) in both cases. Every flip that was seen lies below it as well,
    by `HEADROOM`.

    Args:
        probabilities: the graph's, [texts, classes].
        reference: torch's.
    """
    noise = _noise(probabilities, reference, problem)
    seen = margins(probabilities, problem)[flipped(probabilities, reference, problem)]
    most = HEADROOM * float(seen.max(initial=0.0))
    return min(1.0, max(most, float(np.tanh(DEVIATIONS * noise / 2))))


def _noise(probabilities: Probabilities, reference: Probabilities, problem: ProblemType) -> float:
    """Standard deviation of what the graph adds to what decides an answer."""
    if problem == "multi_label_classification":
        ours, torchs = (
            np.log(np.maximum(values, TINY)) - np.log(np.maximum(1 - values, TINY))
            for values in (probabilities, reference)
        )
        return float(np.sqrt(np.mean((ours - torchs) ** 2)))
    rows = np.arange(len(probabilities))
    second, best = np.argsort(probabilities, axis=1)[:, -2:].T

    def apart(values: Probabilities) -> Probabilities:
        logs = np.log(np.maximum(values, TINY))
        return np.asarray(logs[rows, best] - logs[rows, second])

    return float(np.sqrt(np.mean((apart(probabilities) - apart(reference)) ** 2)))


def torch_run(model: Any) -> Run:
    """Run the torch model on token ids and mask, as replicas do."""
    import torch

    def run(feed: Feed) -> Logits:
        tensors = {name: torch.from_numpy(value) for name, value in feed.items()}
        with torch.inference_mode():
            logits: Logits = model(**tensors).logits.numpy()
        return logits

    return run
