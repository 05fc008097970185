"""Logits to probabilities and labels: one post-processing for every backend and protocol."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from serve_app.engine.artifacts import ProblemType

Logits = npt.NDArray[np.float32]
Function = Literal["softmax", "sigmoid", "none"]

DEFAULT_FUNCTION: dict[ProblemType, Function] = {
    "single_label_classification": "softmax",
    "multi_label_classification": "sigmoid",
}


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
        return np.asarray(1.0 / (1.0 + np.exp(-values)))
    exponents = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True))
