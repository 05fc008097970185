"""What a teacher thinks of texts: a probability of `POSITIVE` for each, without the texts."""

import hashlib
import io
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from training.data import NEGATIVE, POSITIVE, Row
from training.errors import TrainingError
from training.files import write_atomically

SHIPPED = Path(__file__).with_name("opinions.npz")
"""Those that the bundled model learnt from."""


class Opinions:
    """By a text's digest of 32 bits: one text in 50,000 may find a stranger's."""

    def __init__(self) -> None:
        self._positive: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._positive)

    def get(self, text: str) -> float | None:
        return self._positive.get(_digest(text))

    def add(self, text: str, positive: float) -> None:
        self._positive[_digest(text)] = positive

    def write(self, path: Path) -> None:
        content = io.BytesIO()
        digests = np.array(list(self._positive), dtype=np.uint32)
        np.savez_compressed(
            content, digest=digests, positive=np.array([*self._positive.values()], dtype=np.float16)
        )
        write_atomically(path, content.getvalue())

    @classmethod
    def read(cls, path: Path) -> "Opinions":
        try:
            with np.load(path) as content:
                digests, positive = content["digest"].tolist(), content["positive"].tolist()
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise TrainingError(f"{path} is not a teacher's file: {error}.") from error
        opinions = cls()
        opinions._positive = dict(zip(digests, positive, strict=True))
        return opinions


def taught(rows: list[Row], opinions: Opinions, share: float) -> list[Row]:
    """`rows` with the teacher's `share` in the targets of those that it has judged."""
    learnt = []
    for row in rows:
        positive = opinions.get(row.text)
        if positive is not None:
            row = row._replace(taught=share * positive + (1 - share) * row.label)
        learnt.append(row)
    return learnt


def judged(texts: list[str], opinions: Opinions) -> list[Row]:
    """The texts that the teacher has judged, as rows; its opinion is all they have."""
    found = ((text, opinions.get(text)) for text in texts)
    return [
        Row(text, POSITIVE if positive > 0.5 else NEGATIVE, positive)
        for text, positive in found
        if positive is not None
    ]


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2s(text.encode(), digest_size=4).digest(), "little")
