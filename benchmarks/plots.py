"""The plots of docs/benchmarks.md."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt

from benchmarks.catalog import OURS
from benchmarks.graphs import NAMES, Precision, compared_with
from benchmarks.limit import best
from benchmarks.overload import Step
from benchmarks.records import Candidate, Cell, Run
from benchmarks.stream import Outcome

# The same figures give the same file.
matplotlib.rcParams["svg.hashsalt"] = "benchmarks"
PRECISIONS: tuple[Precision, ...] = ("torch", "fp32", "int8")
LINES = {"dynamic": "--"}


def bench(run: Run, folder: Path) -> list[Path]:
    """Requests/s over concurrency: a file a model, a panel a precision and length of list."""
    made = []
    for model in dict.fromkeys(cell.model for cell in run.cells):
        cells = [cell for cell in run.cells if cell.model == model]
        present = {compared_with(cell.precision) for cell in cells}
        precisions = [precision for precision in PRECISIONS if precision in present]
        lists = sorted({cell.texts_each for cell in cells})
        figure, axes = plt.subplots(
            len(lists),
            len(precisions),
            figsize=(4.6 * len(precisions), 3.6 * len(lists)),
            squeeze=False,
            layout="constrained",
        )
        for row, texts_each in zip(axes, lists, strict=True):
            for panel, precision in zip(row, precisions, strict=True):
                shown = [
                    cell
                    for cell in cells
                    if (cell.texts_each, compared_with(cell.precision)) == (texts_each, precision)
                ]
                _lines(panel, run, shown)
                what = "single texts" if texts_each == 1 else f"lists of {texts_each}"
                panel.set_title(f"{NAMES[precision]}, {what}", fontsize=10)
        made.append(_save(figure, folder / f"bench-{model}.svg"))
    return made


def limit(candidates: Sequence[Candidate], folder: Path) -> list[Path]:
    """Texts/s in process by the way batches are formed: a panel a model, a line a precision."""
    chosen = best(candidates)
    models = list(dict.fromkeys(one.model for one in chosen))
    figure, axes = plt.subplots(
        1, len(models), figsize=(4.6 * len(models), 3.6), squeeze=False, layout="constrained"
    )
    for panel, model in zip(axes[0], models, strict=True):
        for color, precision in enumerate(NAMES):
            own = [one for one in chosen if (one.model, one.precision) == (model, precision)]
            if own:
                _errors(
                    panel,
                    [one.way for one in own],
                    [one.rates for one in own],
                    fmt="o" + LINES.get(precision, "-"),
                    color=f"C{color}",
                    markersize=3,
                    label=NAMES[precision],
                )
        panel.set_title(model, fontsize=10)
        panel.set_ylim(bottom=0)
        panel.set(ylabel="texts/s")
        panel.tick_params(axis="x", labelsize=8)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7, loc="lower right")
    return [_save(figure, folder / "limit.svg")]


def scaling(said: dict[str, Any], folder: Path) -> list[Path]:
    """Requests/s over replicas, beside what they would be if the way to the model were free."""
    figure, panel = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
    steps: dict[int, list[dict[str, Any]]] = {}
    for step in said["steps"]:
        steps.setdefault(step["replicas"], []).append(step)
    replicas = sorted(steps)
    rates = [median(step["requests_per_second"] for step in steps[n]) for n in replicas]
    panel.plot(replicas, [steps[n][0]["ideal"] for n in replicas], ":", color="grey", label="ideal")
    panel.plot(replicas, rates, "o-", color="crimson", label="measured")
    panel.set(xscale="log", yscale="log", xlabel="replicas", ylabel="requests/s")
    panel.set_xticks(replicas, [str(n) for n in replicas])
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    return [_save(figure, folder / "scaling.svg")]


def stream(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    """Memory over rows answered: a panel a stream, a line a role."""
    figure, axes = plt.subplots(
        1, len(outcomes), figsize=(4.6 * len(outcomes), 3.4), squeeze=False, layout="constrained"
    )
    for panel, outcome in zip(axes[0], outcomes, strict=True):
        for color, role in enumerate(("ingress", "onnx", "HAProxy")):
            samples = [sample for sample in outcome.samples if role in sample.mb]
            rows = [sample.done / 1000 for sample in samples]
            panel.plot(rows, [s.mb[role][0] for s in samples], ":", color=f"C{color}", linewidth=1)
            panel.plot(rows, [s.mb[role][1] for s in samples], color=f"C{color}", label=role)
        panel.set_title(f"{outcome.case}: {outcome.rows:,} rows", fontsize=9)
        panel.set(xlabel="thousand rows answered", ylabel="MB (dotted: RSS)")
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    return [_save(figure, folder / "stream-memory.svg")]


def overload(steps: Sequence[Step], folder: Path) -> list[Path]:
    """Answers, refusals and latency over the offered load: a column a backend."""
    backends = list(dict.fromkeys(step.backend for step in steps))
    figure, axes = plt.subplots(
        2, len(backends), figsize=(4.2 * len(backends), 6), squeeze=False, layout="constrained"
    )
    for column, backend in enumerate(backends):
        own = [step for step in steps if step.backend == backend]
        offered = [step.offered for step in own]
        rates, times = axes[0][column], axes[1][column]
        refused = [step.refused for step in own]
        rates.plot(offered, [step.goodput for step in own], "o-", color="crimson", label="answered")
        rates.plot(offered, refused, "s--", color="C0", label="refused with 503")
        rates.axhline(own[0].capacity, color="grey", linestyle=":", label="capacity")
        rates.set_title(backend, fontsize=10)
        rates.set(ylabel="requests/s", xscale="log", yscale="symlog")
        for name, values, form in (
            ("p50, accepted", [step.p50 for step in own], "o-"),
            ("p99, accepted", [step.p99 for step in own], "o--"),
            ("p50, refused", [step.refused_p50 for step in own], "s-"),
            ("p99, refused", [step.refused_p99 for step in own], "s--"),
        ):
            times.plot(
                offered, values, form, color="crimson" if "accepted" in name else "C0", label=name
            )
        times.axhline(50, color="grey", linestyle=":", label="50 ms")
        times.set(xlabel="offered requests/s", ylabel="ms", xscale="log", yscale="log")
        for panel in (rates, times):
            panel.grid(alpha=0.3)
            panel.legend(fontsize=7)
    return [_save(figure, folder / "overload.svg")]


def _lines(panel: Any, run: Run, cells: Sequence[Cell]) -> None:
    panel.set_xscale("log")  # it takes the ticks away that there are
    for server in run.servers:
        for precision in ("torch", "fp32", "int8", "dynamic"):
            own = [c for c in cells if (c.server, c.precision) == (server, precision)]
            if not own:
                continue
            concurrencies = sorted({cell.concurrency for cell in own})
            rates = [
                [c.requests_per_second for c in own if c.concurrency == n] for n in concurrencies
            ]
            title = run.servers[server]["title"] + (", dynamic" if precision == "dynamic" else "")
            _errors(
                panel,
                concurrencies,
                rates,
                fmt="o" + LINES.get(precision, "-"),
                color="crimson" if server == OURS else f"C{_index(run, server)}",
                linewidth=2.5 if server == OURS else 1.2,
                markersize=3,
                label=title,
            )
            panel.set_xticks(concurrencies, [str(n) for n in concurrencies])
    panel.minorticks_off()
    panel.set_ylim(bottom=0)
    panel.set(xlabel="concurrency", ylabel="requests/s")
    panel.grid(alpha=0.3)
    panel.legend(fontsize=6)


def _errors(
    panel: Any, places: Sequence[Any], rates: Sequence[Sequence[float]], **form: Any
) -> None:
    """Medians, and from the least to the most."""
    middle = [median(values) for values in rates]
    below = [m - min(values) for m, values in zip(middle, rates, strict=True)]
    above = [max(values) - m for m, values in zip(middle, rates, strict=True)]
    panel.errorbar(places, middle, yerr=[below, above], **form)


def _index(run: Run, server: str) -> int:
    # C3 is a red, which is kept for ours.
    return [0, 1, 2, 4, 5, 6, 7, 8, 9][list(run.servers).index(server) % 9]


def _save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
