"""Tables and plots of what was measured: `python -m benchmarks.report` fills docs/benchmarks.md."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import limit
from benchmarks.catalog import OURS
from benchmarks.graphs import NAMES, Precision, compared_with
from benchmarks.records import RESULTS, Cell, Run, in_words, number, spread

DOCUMENT = Path("docs/benchmarks.md")
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"

Key = tuple[str, Precision]
"""Server and precision."""


def bench(run: Run) -> str:
    """Every table of the comparison, as Markdown."""
    parts = [f"Measured on {in_words(run.machine)}. {_how(run)}"]
    for model in _in_order(cell.model for cell in run.cells):
        cells = [cell for cell in run.cells if cell.model == model]
        parts += [f"### {model}", against_best(run, cells), repeatability(cells)]
        for texts_each in _in_order(cell.texts_each for cell in cells):
            for concurrency in _in_order(cell.concurrency for cell in cells):
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
    for key, own in _grouped(cells).items():
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
            f" {number(_median(own, lambda c: c.latency('p50')))} |"
            f" {number(_median(own, lambda c: c.latency('p95')))} |"
            f" {number(_median(own, lambda c: c.latency('p99')))} |"
            f" {sum(cell.errors for cell in own)} |"
            f" {number(_median(own, lambda c: c.cpu_ms))} |"
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
    places = _in_order((cell.texts_each, cell.concurrency) for cell in cells)
    for texts_each, concurrency in sorted(places):
        here = [c for c in cells if (c.texts_each, c.concurrency) == (texts_each, concurrency)]
        groups = _grouped(here)
        for (server, precision), own in groups.items():
            others = {
                key: other
                for key, other in groups.items()
                if key[0] != OURS and compared_with(key[1]) == precision
            }
            if server != OURS or not others:
                continue
            fastest = max(others, key=lambda key: _rate(others[key]))
            steadiest = min(others, key=lambda key: _p99(others[key]))
            ratio = paired(own, others[fastest], lambda cell: cell.requests_per_second)
            tail = paired(others[steadiest], own, lambda cell: cell.latency("p99"))
            lines.append(
                f"| {'single' if texts_each == 1 else f'lists of {texts_each}'} | {concurrency} |"
                f" {NAMES[own[0].precision]}, {_threads(run.servers[OURS])} |"
                f" {number(_rate(own))} | {_named(run, fastest)} |"
                f" {number(_rate(others[fastest]))} | **{number(ratio)}×** |"
                + (
                    f" {number(_p99(others[steadiest]))} ({_named(run, steadiest)}) |"
                    f" **{number(tail)}×** |"
                    if tail
                    else " – | – |"
                )
            )
    return "\n".join(lines) if len(lines) > 2 else "Nothing to compare."


def repeatability(cells: Sequence[Cell]) -> str:
    """How far two set-ups differ that do the same: the plain file's, with one client."""
    alone = [cell for cell in cells if cell.concurrency == 1]
    ratios = []
    for precision in _in_order(cell.precision for cell in alone):
        for texts_each in _in_order(cell.texts_each for cell in alone):
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
                ratios.append(ratio)
    if not ratios:
        return ""
    return (
        "With one client both set-ups of the plain file do the same work. Their ratios here,"
        f" {', '.join(f'{ratio:.2f}' for ratio in ratios)}, are what a ratio near 1 is worth."
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
    limits = {(one.model, one.precision, one.way): one for one in limit.best(run.limits)}
    places = _in_order((c.model, c.precision, c.texts_each, c.concurrency) for c in run.cells)
    for place in places:
        model, precision, texts_each, concurrency = place
        own = [
            cell
            for cell in run.cells
            if cell.server == OURS
            and (cell.model, cell.precision, cell.texts_each, cell.concurrency) == place
        ]
        # Of more texts than the widest window has, the server could choose as from all of them.
        waiting = texts_each * concurrency
        way = f"window {waiting}" if waiting <= max(limit.WINDOWS) else "sorted"
        bound = limits.get((model, precision, way))
        if not own or bound is None:
            continue
        share = median(
            cell.requests_per_second * texts_each / bound.rates[cell.round]
            for cell in own
            if cell.round < len(bound.rates)
        )
        lines.append(
            f"| {model} | {NAMES[precision]} |"
            f" {'single' if texts_each == 1 else f'lists of {texts_each}'} | {concurrency} |"
            f" {number(_rate(own) * texts_each)} | {number(median(bound.rates))} | {way}"
            f" ({bound.workers} × {bound.threads}, batches of {bound.batch}) | **{share:.2f}** |"
        )
    return "\n".join(lines)


def failures(run: Run) -> str:
    """What was asked for and could not be measured."""
    return "\n".join(f"- {what}: {why}" for what, why in run.failures.items())


def paired(
    above: Sequence[Cell], below: Sequence[Cell], value: Callable[[Cell], float | None]
) -> float | None:
    """Median of the ratios within a round, which the machine's drift does not move."""
    other = {cell.round: value(cell) for cell in below}
    ratios = []
    for cell in above:
        over, under = value(cell), other.get(cell.round)
        if over and under:
            ratios.append(over / under)
    return median(ratios) if ratios else None


def rewrite(document: str, content: str) -> str:
    """The document with what stands between the markers replaced.

    Raises:
        ValueError: it has not both markers.
    """
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} … {END}")
    return f"{head}{BEGIN}\n{content.strip()}\n{END}{tail}"


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the document and draw the plots from the JSON files that are there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--images", type=Path, help="folder; `images` beside the document")
    options = parser.parse_args(argv)
    options.images = options.images or options.document.parent / "images"
    from benchmarks import (
        auto,
        beside,
        cost,
        flame,
        identity,
        overload,
        plots,
        proxies,
        scaling,
        spikes,
        stream,
    )

    parts: list[str] = []
    found = options.results / "bench.json"
    if found.exists():
        run = Run.read(found)
        images = _linked(plots.bench(run, options.images), options)
        parts += ["## Side by side", *images, bench(run)]
        parts += ["## What a million texts cost", cost.table(run)]
    found = options.results / "limit.json"
    if found.exists():
        parts += ["## What the hardware allows, by itself", limit.section(_json(found))]
    if pictures := sorted(options.images.glob("flame-*.svg")):
        parts += ["## Where the time goes", flame.SAID, *_linked(pictures, options)]
    found = options.results / "scaling.json"
    if found.exists():
        said = _json(found)
        images = _linked(plots.scaling(said, options.images), options)
        parts += ["## As it grows", scaling.table(said), *images]
    found = options.results / "stream.json"
    if found.exists():
        said = _json(found)
        images = _linked(plots.stream(stream.outcomes(said), options.images), options)
        parts += ["## Streams at size", stream.table(said), *images]
    found = options.results / "overload.json"
    if found.exists():
        said = _json(found)
        images = _linked(plots.overload(overload.steps(said), options.images), options)
        parts += ["## More than it can answer", overload.table(said), *images]
    for name, heading, table_of in (
        ("beside", "Single texts beside a bulk load", beside.table),
        ("auto", "Both twins as one", auto.table),
        ("proxies", "A model that costs nothing", proxies.table),
        ("spikes", "A load that comes and goes", spikes.table),
        ("identity", "What identity and quotas cost", identity.table),
    ):
        found = options.results / f"{name}.json"
        if found.exists():
            parts += [f"## {heading}", table_of(_json(found))]
    document = options.document.read_text(encoding="utf-8")
    options.document.write_text(rewrite(document, "\n\n".join(parts)), encoding="utf-8")
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
        for model in _in_order(cell.model for cell in run.cells)
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


def _named(run: Run, key: Key) -> str:
    said = run.servers[key[0]]
    precision = f", {NAMES['dynamic']}" if key[1] == "dynamic" else ""
    return f"{said['title']}, {_threads(said)}{precision}"


def _grouped(cells: Iterable[Cell]) -> dict[Key, list[Cell]]:
    groups: dict[Key, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (list(NAMES).index(cell.precision), cell.round)):
        groups.setdefault((cell.server, cell.precision), []).append(cell)
    order = sorted(groups, key=lambda key: list(NAMES).index(compared_with(key[1])))
    return {key: groups[key] for key in order}


def _median(cells: Sequence[Cell], value: Callable[[Cell], float | None]) -> float | None:
    values = [found for cell in cells if (found := value(cell)) is not None]
    return median(values) if values else None


def _rate(cells: Sequence[Cell]) -> float:
    return median(cell.requests_per_second for cell in cells)


def _p99(cells: Sequence[Cell]) -> float:
    found = _median(cells, lambda cell: cell.latency("p99"))
    return float("inf") if found is None else found


def _in_order(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


if __name__ == "__main__":
    sys.exit(main())
