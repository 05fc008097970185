"""What the figures are to reach, and whether they do."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import limit, parts, ratios
from benchmarks.catalog import OURS
from benchmarks.graphs import BUNDLED, NAMES, SHAPE, Precision
from benchmarks.records import Run, number

Figure = tuple[float, str]
"""What was measured, and in which place, where it is the worst of several; or an empty string."""


@dataclass(frozen=True)
class Goal:
    """One figure, and what it is to be.

    Attributes:
        source: the name of the JSON that has it.
        figure: finds it there; None where that has no such figure.
        least, most: one of them is the goal.
        unit: written after the numbers.
    """

    what: str
    source: str
    figure: Callable[[Any], Figure | None]
    least: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def said(self) -> str:
        bound = self.most if self.least is None else self.least
        return f"{'≤' if self.least is None else '≥'} {bound:g}{self.unit}"

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )


def share(model: str, concurrency: int) -> Callable[[Run], Figure | None]:
    """Single texts in int8, of the windowed limit."""

    def find(run: Run) -> Figure | None:
        for one in ratios.shares(run):
            first = one.own[0]
            place = (first.model, first.precision, first.texts_each, first.concurrency)
            if place == (model, "int8", 1, concurrency):
                return one.value, ""
        return None

    return find


def rates(**place: int) -> Callable[[Run], Figure | None]:
    """The lowest ratio of requests a second in the cells at 16 clients or more that are such."""
    return lambda run: _lowest(run, lambda one: one.rate, place)


def tails(**place: int) -> Callable[[Run], Figure | None]:
    """The same of p99, theirs ÷ ours."""
    return lambda run: _lowest(run, lambda one: one.tail, place)


def over_plain(run: Run) -> Figure | None:
    """The largest difference of p50 to the plain file's, of lone single texts."""
    lone = [cell for cell in run.cells if (cell.texts_each, cell.concurrency) == (1, 1)]
    ours = {(c.model, c.precision, c.round): c.p50 for c in lone if c.server == OURS}
    more: dict[str, list[float]] = {}
    for plain in lone:
        own = ours.get((plain.model, plain.precision, plain.round))
        if plain.server == "fastapi" and own and plain.p50:
            more.setdefault(f"{plain.model}, {NAMES[plain.precision]}", []).append(own - plain.p50)
    return max(((median(found), place) for place, found in more.items()), default=None)


def against_pipeline(precision: Precision) -> Callable[[Run], Figure | None]:
    """Requests a second of single texts at concurrency 16 ÷ the pipeline's, whatever it serves: of
    the models the lowest."""

    def find(run: Run) -> Figure | None:
        found = []
        for model in ratios.in_order(cell.model for cell in run.cells):
            place = (model, 1, 16)
            busy = [c for c in run.cells if (c.model, c.texts_each, c.concurrency) == place]
            own = [cell for cell in busy if (cell.server, cell.precision) == (OURS, precision)]
            pipeline = [cell for cell in busy if cell.server == "pipeline"]
            ratio = ratios.paired(own, pipeline, lambda cell: cell.requests_per_second)
            if ratio:
                found.append((ratio, model))
        return min(found, default=None)

    return find


def against_dynamic(record: Any) -> Figure | None:
    """The lowest ratio of our int8 in process to the ordinary dynamic one, of all ways."""
    best = {(one.model, one.way, one.precision): one for one in limit.best(limit.rows(record))}
    found = []
    for (model, way, precision), own in best.items():
        other = best.get((model, way, "dynamic"))
        if precision == "int8" and other:
            pairs = zip(own.rates, other.rates, strict=True)
            found.append((median(ours / theirs for ours, theirs in pairs), f"{model}, {way}"))
    return min(found, default=None)


def outside(record: Any) -> Figure:
    """CPU ms."""
    return median(parts.outside(record)), ""


def less(precision: Precision) -> Callable[[Any], Figure]:
    """Percent of torch's time that ONNX does not take."""
    return lambda record: (
        median(one.less * 100 for one in parts.lones(record) if one.precision == precision),
        "",
    )


def bulk(name: str) -> Callable[[Any], Figure]:
    """Share of the windowed limit."""
    return lambda record: (median(parts.shares(record, name)), "")


def idle(record: Any) -> Figure:
    """Percent of a core."""
    return record["idle_cores"] * 100, ""


def ready(record: Any) -> Figure:
    """Seconds."""
    return record["ready_s"], ""


def torch_share(record: Any) -> Figure:
    """Of what torch does in process."""
    found = [one.torch_share for one in parts.lones(record)]
    return median(found), ""


SINGLE = "single texts in int8: share of the windowed limit at concurrency"
SMALL, LARGE = BUNDLED.name, SHAPE.name
RATE = "requests/s ÷ the best alternative's"
TAIL = "the best alternative's p99 ÷ ours"
PIPELINE = "against FastAPI + pipeline at concurrency 16"
LESS = "less time of inference than torch's at concurrency 1"
WINDOW = "share of the windowed limit"

GOALS = (
    Goal(f"DistilBERT's shape, {SINGLE} 16", "bench", share(LARGE, 16), least=0.88),
    Goal(f"DistilBERT's shape, {SINGLE} 64", "bench", share(LARGE, 64), least=0.95),
    Goal(f"bundled model, {SINGLE} 16", "bench", share(SMALL, 16), least=0.75),
    Goal(f"bundled model, {SINGLE} 64", "bench", share(SMALL, 64), least=0.85),
    Goal(f"{RATE}, each cell at concurrency ≥ 16", "bench", rates(), least=1.0, unit="×"),
    Goal(f"{RATE}, at 64", "bench", rates(concurrency=64), least=1.2, unit="×"),
    Goal(f"{RATE}, lists of 32", "bench", rates(texts_each=32), least=1.3, unit="×"),
    Goal(f"{TAIL}, each cell at concurrency ≥ 16", "bench", tails(), least=1.0, unit="×"),
    Goal(f"{TAIL}, at 64", "bench", tails(concurrency=64), least=1.2, unit="×"),
    Goal(f"{TAIL}, lists of 32", "bench", tails(texts_each=32), least=1.3, unit="×"),
    Goal(
        "CPU of a request outside tokenizer and model, Ray's idle processes in it, at concurrency"
        " 16",
        "parts",
        outside,
        most=0.7,
        unit=" ms",
    ),
    Goal("concurrency 1: p50 over the plain file's", "bench", over_plain, most=2, unit=" ms"),
    Goal(f"{PIPELINE}: ONNX int8", "bench", against_pipeline("int8"), least=8, unit="×"),
    Goal(f"{PIPELINE}: ONNX fp32", "bench", against_pipeline("fp32"), least=3, unit="×"),
    Goal(f"{PIPELINE}: torch", "bench", against_pipeline("torch"), least=1.5, unit="×"),
    Goal(f"{LESS}: ONNX fp32", "parts", less("fp32"), least=55, unit=" %"),
    Goal(f"{LESS}: ONNX int8", "parts", less("int8"), least=75, unit=" %"),
    Goal("torch there: share of its limit in process", "parts", torch_share, least=0.9),
    Goal(
        "batch-invariant int8 ÷ ordinary dynamic int8, in process",
        "limit",
        against_dynamic,
        least=1.0,
        unit="×",
    ),
    Goal(f"lists of {parts.LIST}: {WINDOW}", "parts", bulk("lists"), least=0.95),
    Goal(f"streams: {WINDOW}", "parts", bulk("stream"), least=0.95),
    Goal("idle: CPU of the whole cluster, of a core", "footprint", idle, most=3, unit=" %"),
    Goal("start to ready, prepared model", "footprint", ready, most=15, unit=" s"),
)


def table(results: Path, goals: Sequence[Goal] = GOALS) -> str:
    """Markdown, from the JSON files that are there."""
    lines = ["| what | goal | here | met |", "| --- | --- | --- | --- |"]
    records = {source: _read(results, source) for source in {goal.source for goal in goals}}
    for goal in goals:
        record = records[goal.source]
        found = goal.figure(record[0]) if record else None
        if not record or not found:
            lines.append(f"| {goal.what} | {goal.said} | not measured | – |")
            continue
        value, place = found
        where = f"{place}; {record[1]}" if place else record[1]
        lines.append(
            f"| {goal.what} | {goal.said} | **{number(value)}{goal.unit}** ({where}) |"
            f" {'yes' if goal.met(value) else 'no'} |"
        )
    return "\n".join(lines)


def _lowest(
    run: Run, ratio: Callable[[ratios.Against], float | None], place: dict[str, int]
) -> Figure | None:
    found = []
    for one in ratios.against(run.cells):
        first, value = one.own[0], ratio(one)
        asked = first.concurrency >= 16 and vars(first) == vars(first) | place
        if asked and value is not None:
            what = "single" if first.texts_each == 1 else f"lists of {first.texts_each}"
            where = f"{first.model}, {NAMES[first.precision]}, {what}, {first.concurrency}"
            found.append((value, where))
    return min(found, default=None)


def _read(results: Path, source: str) -> tuple[Any, str] | None:
    """The record, and the CPU that it was measured on."""
    path = results / f"{source}.json"
    if not path.exists():
        return None
    said = json.loads(path.read_text(encoding="utf-8"))
    return Run.read(path) if source == "bench" else said, said["machine"]["cpu"]
