"""Logits to probabilities and labels: one post-processing for every backend and protocol."""

from collections.abc import Sequence
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt

from serve_app.engine.artifacts import ProblemType

Logits = npt.NDArray[np.float32]
Function = Literal["softmax", "sigmoid", "none"]

DEFAULT_FUNCTION: dict[ProblemType, Function] = {
    "single_label_classification": "softmax",
    "multi_label_classification": "sigmoid",
}


class Ranked(TypedDict):
    """A label and its score."""

    label: str
    score: float


def apply(logits: Logits, function: Function) -> npt.NDArray[np.float64]:
    """Scores of each class.

    Args:
        logits: [texts, classes].
        function: "softmax" over the classes, "sigmoid" of each, or "none": the logits themselves.

    Returns:
        [texts, classes], in float64 so that a score of 0.99999999 does not round to 1.
    """
    values = logits.astype(np.float64)
    if function == "none":
        return values
    if function == "sigmoid":
        return np.asarray(np.exp(-np.logaddexp(0.0, -values)))  # where exp alone overflows
    exponents = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True))


def flipped(
    probabilities: npt.NDArray[np.float64],
    reference: npt.NDArray[np.float64],
    problem_type: ProblemType,
) -> npt.NDArray[np.bool_]:
    """Whether each text's answer differs: the best label, or the set of labels over one half.

    Args:
        probabilities, reference: [texts, classes].
    """
    if problem_type == "multi_label_classification":
        return np.asarray(((probabilities > 0.5) != (reference > 0.5)).any(axis=1))
    return np.asarray(probabilities.argmax(axis=1) != reference.argmax(axis=1))


def flips(
    probabilities: npt.NDArray[np.float64],
    reference: npt.NDArray[np.float64],
    problem_type: ProblemType,
) -> int:
    """How many texts are `flipped`."""
    return int(flipped(probabilities, reference, problem_type).sum())


def margins(
    probabilities: npt.NDArray[np.float64], problem_type: ProblemType
) -> npt.NDArray[np.float64]:
    """How far each text is from another answer, 0 to 1; NaN where its probabilities are.

    Args:
        probabilities: [texts, classes].
    """
    if problem_type == "multi_label_classification":
        return np.asarray(2 * np.abs(probabilities - 0.5).min(axis=1))
    best = np.partition(probabilities, -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


def rank(
    scores: npt.NDArray[np.float64], labels: Sequence[str], top_k: int | None = None
) -> list[list[Ranked]]:
    """The labels of each text by falling score; equal scores stay in the model's order.

    Args:
        scores: [texts, classes], as `apply` gives them.
        labels: of the classes.
        top_k: how many of them; all if None.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    values = np.take_along_axis(scores, order, axis=1)
    return [
        [{"label": labels[label], "score": score} for label, score in zip(*row, strict=True)]
        for row in zip(order.tolist(), values.tolist(), strict=True)
    ]
