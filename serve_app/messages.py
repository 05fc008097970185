"""What travels between the ingress and a model replica, as objects and as plain values."""

from dataclasses import dataclass
from typing import Any

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
        ids: each request's `X-Request-Id`.
    """

    requests: list[list[str]]
    ingress: str
    waiting: float
    flows: tuple[int, ...] = ()
    traces: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    bulk: bool = False

    def pack(self) -> tuple[Any, ...]:
        """As values that msgpack knows."""
        head = self.requests, self.ingress, self.waiting
        return (*head, self.flows, self.traces, self.ids, self.bulk)

    @classmethod
    def unpack(cls, packed: Any) -> "Call":
        """What `pack` gave.

        Raises:
            ValueError, TypeError: it is none.
        """
        requests, ingress, waiting, flows, traces, ids, bulk = packed
        return cls(requests, ingress, waiting, tuple(flows), tuple(traces), tuple(ids), bulk)


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

    def pack(self) -> tuple[Any, ...]:
        """As values that msgpack knows, numbers as they lie in memory (little-endian)."""
        return (
            self.replica,
            self.logits.tobytes(),
            self.queue.tobytes(),
            self.inference.tobytes(),
            self.batch_size.tobytes(),
            self.truncated,
            self.errors,
            self.tokenize,
        )

    @classmethod
    def unpack(cls, packed: Any) -> "Reply":
        """What `pack` gave; its arrays are read-only.

        Raises:
            ValueError, TypeError: it is none.
        """
        replica, logits, queue, inference, batch_size, truncated, errors, tokenize = packed
        waited = np.frombuffer(queue, dtype=np.float32)
        return cls(
            replica=replica,
            logits=np.frombuffer(logits, dtype=np.float32).reshape(len(waited), -1),
            queue=waited,
            inference=np.frombuffer(inference, dtype=np.float32),
            batch_size=np.frombuffer(batch_size, dtype=np.int32),
            truncated=truncated,
            errors=errors,
            tokenize=tokenize,
        )
