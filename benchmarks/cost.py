"""What a million texts cost on named EC2 types, from the CPU seconds that one was seen to take."""

from collections.abc import Sequence
from statistics import median

from benchmarks.catalog import OURS
from benchmarks.graphs import NAMES
from benchmarks.records import Cell, Run, number

PRICES: dict[str, tuple[int, float, bool]] = {
    "c5a.large": (2, 0.077, False),
    "c6a.large": (2, 0.0765, False),
    "m6a.large": (2, 0.0864, False),
    "c6i.large": (2, 0.085, True),
    "c7i.large": (2, 0.08925, True),
    "m7i.large": (2, 0.1008, True),
}
"""vCPUs, US dollars an hour, and whether the processor has AVX-512 VNNI, with which int8 is twice
as fast: what was measured on one kind says nothing of the other."""
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
    vnni = "avx512_vnni" in run.machine["cpu"]
    prices = {name: (vcpus, hourly) for name, (vcpus, hourly, has) in PRICES.items() if has == vnni}
    lines = [
        f"Dollars for a million texts at concurrency {CONCURRENCY}, from the CPU seconds of the"
        " whole service (proxy, ingress, model). A vCPU of each type is taken to be as fast as one"
        f" core here, and to be busy all the time; types {'with' if vnni else 'without'} AVX-512"
        f" VNNI, as here. {SOURCE}.",
        "",
        f"| model | precision | requests | CPU ms a text | {' | '.join(prices)} |",
        f"| --- | --- | --- | --- |{' --- |' * len(prices)}",
    ]
    ours = [c for c in run.cells if c.server == OURS and c.concurrency == CONCURRENCY]
    for place in dict.fromkeys((c.model, c.precision, c.texts_each) for c in ours):
        cells = [c for c in ours if (c.model, c.precision, c.texts_each) == place]
        seconds = cpu_seconds(cells)
        if seconds is None:
            continue
        model, precision, texts_each = place
        costs = " | ".join(f"{dollars(seconds, *price):.3f}" for price in prices.values())
        lines.append(
            f"| {model} | {NAMES[precision]} |"
            f" {'single' if texts_each == 1 else f'lists of {texts_each}'} |"
            f" {number(seconds * 1000)} | {costs} |"
        )
    return "\n".join(lines) if len(lines) > 4 else "Nothing was measured at that concurrency."
