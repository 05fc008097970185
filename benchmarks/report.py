"""Tables and plots of what was measured: `python -m benchmarks.report` fills docs/benchmarks.md."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import limit, ratios
from benchmarks.catalog import OURS
from benchmarks.graphs import NAMES, compared_with
from benchmarks.ratios import grouped, in_order, middle, p99, paired, rate
from benchmarks.records import RESULTS, Cell, Run, in_words, number, spread

DOCUMENT = Path("docs/benchmarks.md")
GOALS_SAID = (
    "Medians, of several cells the worst one (of those whose p99 is told); in brackets which that"
    " is, and the processor it was measured on. A figure of a round or two on a shared machine is"
    " worth no more than the spread that stands with it below."
)
OTHER_RUN = (
    "These limits are of a run of their own, those in «Side by side» of that one's rounds: in"
    " another minute a shared machine is faster or slower, so the two differ, and a share holds"
    " only within one run."
)


def bench(run: Run) -> str:
    """Every table of the comparison, as Markdown."""
    parts = [f"Measured on {in_words(run.machine)}. {_how(run)}"]
    for model in in_order(cell.model for cell in run.cells):
        cells = [cell for cell in run.cells if cell.model == model]
        parts += [f"### {model}", against_best(run, cells), repeatability(cells)]
        for texts_each in in_order(cell.texts_each for cell in cells):
            for concurrency in in_order(cell.concurrency for cell in cells):
                chosen = [
                    cell
                    for cell in cells
                    if (cell.texts_each, cell.concurrency) == (texts_each, concurrency)
                ]
                what = "single texts" if texts_each == 1 else f"lists of {texts_each}"
                parts += [f"#### {model}: {what}, concurrency {concurrency}", table(run, chosen)]
    if run.limits:
        parts += ["### What the hardware allows", limit.table(run.limits), shares(run)]
    if run.agreements:
        parts += ["### The same answers", agreements(run)]
    if run.failures:
        parts += ["### Not measured", failures(run)]
    return "\n\n".join(filter(None, parts))


def table(run: Run, cells: Sequence[Cell]) -> str:
    """One cell of all servers beside each other; ratios are against ours in the same precision."""
    lines = [
        "| server | precision | workers × threads | batching | requests/s | ours ÷ it | p50 ms |"
        " p95 | p99 | errors | CPU ms a request | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key, own in grouped(cells).items():
        server, precision = key
        reference = [
            c for c in cells if c.server == OURS and c.precision == compared_with(precision)
        ]
        ratio = paired(reference, own, lambda cell: cell.requests_per_second)
        rates = [cell.requests_per_second for cell in own]
        extent = f" ({spread(rates)})" if len(rates) > 1 else ""
        said = run.servers[server]
        lines.append(
            f"| {said['title']} | {NAMES[own[0].precision]} | {_threads(said)} |"
            f" {said['batching']} | **{number(median(rates))}**{extent} |"
            f" {number(ratio) + '×' if ratio else '–'} |"
            f" {number(middle(own, lambda c: c.latency('p50')))} |"
            f" {number(middle(own, lambda c: c.latency('p95')))} |"
            f" {number(middle(own, lambda c: c.latency('p99')))} |"
            f" {sum(cell.errors for cell in own)} |"
            f" {number(middle(own, lambda c: c.cpu_ms))} |"
            f" {max(cell.memory_mb for cell in own):,.0f} |"
        )
    return "\n".join(lines)


def against_best(run: Run, cells: Sequence[Cell]) -> str:
    """Ours against the best alternative of the same precision in every cell."""
    lines = [
        "| requests | concurrency | precision | ours, requests/s | best alternative | its"
        " requests/s | ours ÷ it | lowest p99 of the others, ms | it ÷ ours |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in ratios.against(cells):
        first = one.own[0]
        lines.append(
            f"| {_requests(first.texts_each)} | {first.concurrency} |"
            f" {NAMES[first.precision]}, {_threads(run.servers[OURS])} |"
            f" {number(rate(one.own))} | {_named(run, one.fastest[0])} |"
            f" {number(rate(one.fastest))} | **{number(one.rate)}×** |"
            + (
                f" {number(p99(one.steadiest))} ({_named(run, one.steadiest[0])}) |"
                f" **{number(one.tail)}×** |"
                if one.tail
                else " – | – |"
            )
        )
    return "\n".join(lines) if len(lines) > 2 else "Nothing to compare."


def repeatability(cells: Sequence[Cell]) -> str:
    """How far two set-ups differ that do the same: the plain file's, with one client."""
    alone = [cell for cell in cells if cell.concurrency == 1]
    found = []
    for precision in in_order(cell.precision for cell in alone):
        for texts_each in in_order(cell.texts_each for cell in alone):
            pool, two = (
                [
                    cell
                    for cell in alone
                    if (cell.server, cell.precision, cell.texts_each)
                    == (server, precision, texts_each)
                ]
                for server in ("fastapi", "fastapi-two")
            )
            if ratio := paired(pool, two, lambda cell: cell.requests_per_second):
                found.append(ratio)
    if not found:
        return ""
    return (
        "With one client both set-ups of the plain file do the same work. Their ratios here,"
        f" {', '.join(f'{ratio:.2f}' for ratio in found)}, are what a ratio near 1 is worth."
    )


def agreements(run: Run) -> str:
    """What each server answered to the golden texts, beside torch at preparation."""
    lines = [
        "| model | server | precision | golden texts refused, of those asked |"
        " other labels than torch |"
        " largest \\|Δp\\| |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {one.model} | {run.servers[one.server]['title']} | {NAMES[one.precision]} |"
        f" {one.refused} of {one.asked} |"
        + (f" {one.flips} | {one.max_difference:.1e} |" if one.asked > one.refused else " – | – |")
        for one in run.agreements
    ]
    return "\n".join(lines)


def shares(run: Run) -> str:
    """Ours as a share of the in-process limit on as many waiting texts."""
    lines = [
        "| model | precision | requests | concurrency | ours, texts/s | limit, texts/s |"
        " in process | share |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in ratios.shares(run):
        first, bound = one.own[0], one.bound
        lines.append(
            f"| {first.model} | {NAMES[first.precision]} |"
            f" {_requests(first.texts_each)} | {first.concurrency} |"
            f" {number(rate(one.own) * first.texts_each)} | {number(median(bound.rates))} |"
            f" {bound.way} ({bound.workers} × {bound.threads}, batches of {bound.batch}) |"
            f" **{one.value:.2f}** |"
        )
    return "\n".join(lines)


def failures(run: Run) -> str:
    """What was asked for and could not be measured."""
    return "\n".join(f"- {what}: {why}" for what, why in run.failures.items())


def rewrite(document: str, name: str, content: str) -> str:
    """The document with what stands between the markers of that name replaced.

    Raises:
        ValueError: it has not both markers.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, opened, rest = document.partition(begin)
    _, closed, tail = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"the document has no {begin} … {end}")
    return f"{head}{begin}\n{content.strip()}\n{end}{tail}"


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the document and draw the plots from the JSON files that are there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--images", type=Path, help="folder; `images` beside the document")
    options = parser.parse_args(argv)
    options.images = options.images or options.document.parent / "images"
    from benchmarks import (
        accuracy,
        auto,
        beside,
        cost,
        flame,
        footprint,
        goals,
        identity,
        overload,
        parts,
        plots,
        proxies,
        scaling,
        spikes,
        stream,
    )

    sections: list[str] = []
    found = options.results / "bench.json"
    if found.exists():
        run = Run.read(found)
        images = _linked(plots.bench(run, options.images), options)
        sections += ["## Side by side", *images, bench(run)]
        sections += ["## What a million texts cost", cost.table(run)]
    found = options.results / "limit.json"
    if found.exists():
        said = _json(found)
        images = _linked(plots.limit(limit.rows(said), options.images), options)
        sections += ["## What the hardware allows, by itself", limit.section(said)]
        sections += [OTHER_RUN, *images]
    if pictures := sorted(options.images.glob("flame-*.svg")):
        sections += ["## Where the time goes", flame.SAID, *_linked(pictures, options)]
    found = options.results / "scaling.json"
    if found.exists():
        said = _json(found)
        images = _linked(plots.scaling(said, options.images), options)
        sections += ["## As it grows", scaling.table(said), *images]
    found = options.results / "stream.json"
    if found.exists():
        said = _json(found)
        images = _linked(plots.stream(stream.outcomes(said), options.images), options)
        sections += ["## Streams at size", stream.table(said), *images]
    found = options.results / "overload.json"
    if found.exists():
        said = _json(found)
        images = _linked(plots.overload(overload.steps(said), options.images), options)
        sections += ["## More than it can answer", overload.table(said), *images]
    for name, heading, table_of in (
        ("parts", "The model's part, and the rest", parts.table),
        ("footprint", "Started and idle", footprint.table),
        ("beside", "Single texts beside a bulk load", beside.table),
        ("accuracy", "The same answers, as served", accuracy.table),
        ("auto", "Both twins as one", auto.table),
        ("proxies", "A model that costs nothing", proxies.table),
        ("spikes", "A load that comes and goes", spikes.table),
        ("identity", "What identity and quotas cost", identity.table),
    ):
        found = options.results / f"{name}.json"
        if found.exists():
            sections += [f"## {heading}", table_of(_json(found))]
    document = options.document.read_text(encoding="utf-8")
    reached = "\n\n".join(["## Goals", GOALS_SAID, goals.table(options.results)])
    document = rewrite(document, "goals", reached)
    document = rewrite(document, "bench", "\n\n".join(sections))
    options.document.write_text(document, encoding="utf-8")
    print(f"{options.document} written from {options.results}")
    return 0


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _linked(images: Sequence[Path], options: argparse.Namespace) -> list[str]:
    base = options.document.resolve().parent
    return [f"![{image.stem}]({os.path.relpath(image.resolve(), base)})" for image in images]


def _how(run: Run) -> str:
    # As many as there are: a run that was ended early has fewer than it was told to make.
    rounds = {
        model: len({cell.round for cell in run.cells if cell.model == model})
        for model in in_order(cell.model for cell in run.cells)
    }
    each = ", ".join(
        f"{count} with {model} of {run.options[model]['seconds']:g} s a cell"
        for model, count in rounds.items()
    )
    return (
        f"Rounds: {each}; medians, and in brackets the least and the most of a round. A ratio is"
        " the median of those within a round."
    )


def _threads(said: dict[str, Any]) -> str:
    workers = said["workers"] or "40"
    return f"{workers} × {said['threads']}"


def _requests(texts_each: int) -> str:
    return "single" if texts_each == 1 else f"lists of {texts_each}"


def _named(run: Run, cell: Cell) -> str:
    said = run.servers[cell.server]
    precision = f", {NAMES['dynamic']}" if cell.precision == "dynamic" else ""
    return f"{said['title']}, {_threads(said)}{precision}"


if __name__ == "__main__":
    sys.exit(main())
