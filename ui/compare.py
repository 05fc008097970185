"""One text, two answers: where they agree, how far apart they are, and which came sooner."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from ui.answers import BACKENDS, Answer, Backend, BackendInfo, Info, Score
from ui.client import Client
from ui.errors import ServiceError
from ui.work import together

NEAR_PERCENT = 5.0
"""Two times this close are called equal: a single request moves by more."""


def budgets(info: Info) -> list[BackendInfo]:
    """PyTorch's and ONNX's."""
    return [info.backend(backend) for backend in BACKENDS]


def unequal(one: BackendInfo, other: BackendInfo, *, under_load: bool = False) -> str | None:
    """Say why two budgets allow no ratio; nothing where they allow it.

    Precision is what the backends differ in on purpose, so it is named beside a ratio rather
    than in its way. Workers share the load of many requests and do nothing for a lone one.
    """
    if one.threads is None or other.threads is None:
        return "the service does not say how many threads each backend has"
    if one.threads != other.threads:
        return f"PyTorch has {one.threads} and ONNX {other.threads} threads for a request"
    if one.cpus != other.cpus:
        return f"PyTorch has {_cpus(one)} and ONNX {_cpus(other)} CPUs"
    if under_load and one.workers != other.workers:
        return f"PyTorch has {one.workers} and ONNX {other.workers} workers"
    return None


def _cpus(budget: BackendInfo) -> str:
    return "an unknown number of" if budget.cpus is None else f"{budget.cpus:g}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both answers to one text; an error stands where an answer is missing."""

    text: str
    answers: dict[Backend, Answer]
    errors: dict[Backend, ServiceError] = field(default_factory=dict)
    took: float = 0.0
    """Milliseconds until the last answer was there."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    exclusive: bool = True
    """Whether a text has one label; else those over one half are its labels."""
    info: Info = field(default_factory=Info)
    """What was served when it was asked."""

    @property
    def both(self) -> tuple[Answer, Answer] | None:
        """PyTorch's and ONNX's answer, where both came."""
        if len(self.answers) < len(BACKENDS):
            return None
        return self.answers["transformers"], self.answers["onnx"]

    @property
    def agree(self) -> bool | None:
        """Whether both gave the same label, or the same labels."""
        if self.both is None:
            return None
        one, other = self.both
        if self.exclusive or not (one.complete and other.complete):
            return one.best.label == other.best.label
        return one.over_half == other.over_half

    @property
    def score_difference(self) -> float | None:
        """The largest difference in any class both gave a score for."""
        if self.both is None:
            return None
        torch, onnx = self.both
        differences = [
            abs(score.score - other)
            for score in torch.scores
            if (other := onnx.score_of(score.label)) is not None
        ]
        return max(differences, default=None)

    @property
    def basis(self) -> str:
        """Which time is compared: the service's own where both backends tell it."""
        if self.both and all(answer.server is not None for answer in self.both):
            return "server time"
        return "round trip"

    @property
    def times(self) -> tuple[float, float] | None:
        """PyTorch's and ONNX's milliseconds on that basis."""
        if self.both is None:
            return None
        torch, onnx = self.both
        if torch.server is not None and onnx.server is not None:
            return torch.server, onnx.server
        return torch.round_trip, onnx.round_trip

    @property
    def time_difference(self) -> float | None:
        """Milliseconds ONNX took less than PyTorch."""
        return None if self.times is None else self.times[0] - self.times[1]

    @property
    def percent(self) -> float | None:
        """ONNX's time as a percentage of PyTorch's."""
        if self.times is None or self.times[0] <= 0:
            return None
        return 100 * self.times[1] / self.times[0]


def verdict(percent: float) -> str:
    """Put ONNX's time as a percentage of PyTorch's into words."""
    if abs(percent - 100) <= NEAR_PERCENT:
        return "Both took about the same time."
    if percent < 100:
        return f"ONNX answered in {percent:.0f} % of PyTorch's time."
    return f"ONNX took {percent / 100:.1f} times as long as PyTorch."


def ask(client: Client, text: str, info: Info) -> Comparison:
    """Ask both backends at the same time."""
    labels = info.model.labels
    exclusive = info.model.problem_type == "single_label_classification"
    several = info.model.problem_type == "multi_label_classification"

    def classify(backend: Backend) -> Answer | ServiceError:
        try:
            return client.classify(backend, text, len(labels))
        except ServiceError as error:
            return error

    start = time.perf_counter()
    found = together("ask", [partial(classify, backend) for backend in BACKENDS])
    took = 1000 * (time.perf_counter() - start)
    answers: dict[Backend, Answer] = {}
    errors: dict[Backend, ServiceError] = {}
    for backend, answer in zip(BACKENDS, found, strict=True):
        if isinstance(answer, ServiceError):
            errors[backend] = client.diagnose(answer)
        else:
            answers[backend] = completed(answer, labels, exclusive=exclusive)
    return Comparison(text, answers, errors, took, exclusive=not several, info=info)


def completed(answer: Answer, labels: Sequence[str], *, exclusive: bool) -> Answer:
    """Add the other class of a two-class model: its score is what is left of one."""
    if answer.complete or not exclusive or len(labels) != 2 or answer.best.label not in labels:
        return answer
    other = labels[1 - labels.index(answer.best.label)]
    scores = (answer.best, Score(other, 1 - answer.best.score))
    return replace(answer, scores=scores, complete=True)
