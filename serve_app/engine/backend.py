"""What torch and ONNX Runtime have in common: text -> tokens -> logits, as two plain steps.

The classifier tokenizes a call's texts (`encode`), threads of the batcher run them (`logits`), and
the API and the jobs apply `postprocess`. A backend knows nothing of queues, HTTP or Ray.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serve_app.engine.postprocess import Logits


@dataclass(frozen=True, slots=True)
class Encoded:
    """One tokenized text.

    Attributes:
        ids: token ids, special tokens included.
        truncated: whether the text was longer than the model's maximum length.
    """

    ids: list[int]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.ids)


class Backend(Protocol):
    """One way to run the model."""

    name: str
    """"transformers" or "onnx": the name in routes and headers."""
    precision: str
    threads: int
    """Threads of one call of `logits`."""

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Tokenize, truncating at the model's maximum length; one result a text, in order."""
        ...

    def logits(self, batch: Sequence[Encoded]) -> Logits:
        """Run the model once on texts padded to the longest; [texts, classes], in order.

        Safe to call from several threads at once.
        """
        ...
