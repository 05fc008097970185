"""What travels between the ingress and a model replica."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Call:
    """Waiting texts of several requests, carried together so that the hop is paid once.

    Attributes:
        requests: the texts of each request that has some in this call.
        ingress: who calls.
        waiting: texts that still wait in that ingress for this replica, for the autoscaler.
        flows: which of the ingress's requests each is a part of.
        bulk: whether they are parts of long requests; a call holds long or short ones only.
        traces: the span of each request as `traceparent`, "" of one that is not traced; empty
            where none is.
    """

    requests: list[list[str]]
    ingress: str
    waiting: float
    flows: tuple[int, ...] = ()
    traces: tuple[str, ...] = ()
    bulk: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """The answers to a `Call`, one row a text, in the order of its requests.

    Attributes:
        replica: who answered.
        logits: [texts, classes]; NaN where there is an error.
        queue: [texts], ms between the replica's receipt and the batch's start, less tokenizing.
        inference: [texts], ms of the batch the text was in.
        batch_size: [texts].
        truncated: indices of texts longer than the model's maximum length.
        errors: index to what the model said of that text.
        tokenize: ms that tokenizing the whole call took.
    """

    replica: str
    logits: Floats
    queue: Floats
    inference: Floats
    batch_size: npt.NDArray[np.int32]
    truncated: list[int]
    errors: dict[int, str]
    tokenize: float
