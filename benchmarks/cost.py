"""What a million texts cost on named EC2 types, from the CPU seconds that one was seen to take."""

from collections.abc import Sequence
from statistics import median

from benchmarks.catalog import OURS
from benchmarks.graphs import NAMES
from benchmarks.records import Cell, Run, number

PRICES: dict[str, tuple[int, float]] = {
    "c6a.large": (2, 0.0765),
    "c6i.large": (2, 0.085),
    "c7i.large": (2, 0.08925),
    "m7i.large": (2, 0.1008),
}
"""vCPUs and US dollars an hour."""
SOURCE = "AWS Price List, Linux, on demand, us-east-1, October 2026"
CONCURRENCY = 16
"""Where the CPU of a text is taken from: busy, but not overloaded."""


def dollars(cpu_seconds: float, vcpus: int, hourly: float) -> float:
    """Of a million texts, on instances that do nothing else and are busy all the time."""
    return cpu_seconds * 1e6 * hourly / vcpus / 3600


def cpu_seconds(cells: Sequence[Cell]) -> float | None:
    """CPU of a text: the median over rounds."""
    values = [cell.cpu_ms / cell.texts_each / 1000 for cell in cells if cell.cpu_ms is not None]
    return median(values) if values else None


def table(run: Run) -> str:
    """Markdown: a row for each of our precisions, single texts and lists."""
    lines = [
        f"Dollars for a million texts at concurrency {CONCURRENCY}, from the CPU seconds of the"
        " whole service (proxy, ingress, model). A vCPU of each type is taken to be as fast as one"
        f" core here, and to be busy all the time. {SOURCE}.",
        "",
        f"| model | precision | requests | CPU ms a text | {' | '.join(PRICES)} |",
        f"| --- | --- | --- | --- |{' --- |' * len(PRICES)}",
    ]
    ours = [c for c in run.cells if c.server == OURS and c.concurrency == CONCURRENCY]
    for place in dict.fromkeys((c.model, c.precision, c.texts_each) for c in ours):
        cells = [c for c in ours if (c.model, c.precision, c.texts_each) == place]
        seconds = cpu_seconds(cells)
        if seconds is None:
            continue
        model, precision, texts_each = place
        prices = " | ".join(number(dollars(seconds, *price)) for price in PRICES.values())
        lines.append(
            f"| {model} | {NAMES[precision]} |"
            f" {'single' if texts_each == 1 else f'lists of {texts_each}'} |"
            f" {number(seconds * 1000)} | {prices} |"
        )
    return "\n".join(lines) if len(lines) > 4 else "Nothing was measured at that concurrency."
