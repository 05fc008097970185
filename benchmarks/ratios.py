"""Ratios of what a comparison measured, each taken within a round: for the tables and the goals."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks import limit
from benchmarks.catalog import OURS
from benchmarks.graphs import NAMES, Precision, compared_with
from benchmarks.records import Candidate, Cell, Run

Key = tuple[str, Precision]
"""Server and precision."""


@dataclass(frozen=True)
class Against:
    """Ours in one place against the best of the others in the same precision.

    Attributes:
        own: ours, a cell a round.
        fastest: those of the one with most requests a second.
        steadiest: those of the one with the lowest p99.
    """

    own: list[Cell]
    fastest: list[Cell]
    steadiest: list[Cell]

    @property
    def rate(self) -> float | None:
        """Our requests a second ÷ the fastest's."""
        return paired(self.own, self.fastest, lambda cell: cell.requests_per_second)

    @property
    def tail(self) -> float | None:
        """The steadiest's p99 ÷ ours."""
        return paired(self.steadiest, self.own, lambda cell: cell.latency("p99"))


@dataclass(frozen=True)
class Share:
    """Ours in one place beside the in-process limit on as many waiting texts."""

    own: list[Cell]
    bound: Candidate

    @property
    def value(self) -> float:
        return median(
            cell.requests_per_second * cell.texts_each / self.bound.rates[cell.round]
            for cell in self.own
            if cell.round < len(self.bound.rates)
        )


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


def against(cells: Sequence[Cell]) -> list[Against]:
    """Ours against the others, in each place where there is one."""
    found = []
    for place in sorted(in_order((c.model, c.texts_each, c.concurrency) for c in cells)):
        groups = grouped(c for c in cells if (c.model, c.texts_each, c.concurrency) == place)
        for (server, precision), own in groups.items():
            others = [
                other
                for key, other in groups.items()
                if key[0] != OURS and compared_with(key[1]) == precision
            ]
            if server == OURS and others:
                found.append(Against(own, max(others, key=rate), min(others, key=p99)))
    return found


def shares(run: Run) -> list[Share]:
    """Ours as a share of the limit, in each place that has one."""
    limits = {(one.model, one.precision, one.way): one for one in limit.best(run.limits)}
    found = []
    for place in in_order((c.model, c.precision, c.texts_each, c.concurrency) for c in run.cells):
        model, precision, texts_each, concurrency = place
        own = [
            cell
            for cell in run.cells
            if cell.server == OURS
            and (cell.model, cell.precision, cell.texts_each, cell.concurrency) == place
        ]
        # Of more texts than the widest window has, the server could choose as from all of them.
        waiting = texts_each * concurrency
        way = f"window {waiting}" if waiting <= max(limit.WINDOWS) else limit.SORTED
        bound = limits.get((model, precision, way))
        if own and bound:
            found.append(Share(own, bound))
    return found


def grouped(cells: Iterable[Cell]) -> dict[Key, list[Cell]]:
    """The cells of each server and precision, by round; a precision's servers stand together."""
    groups: dict[Key, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (list(NAMES).index(cell.precision), cell.round)):
        groups.setdefault((cell.server, cell.precision), []).append(cell)
    order = sorted(groups, key=lambda key: list(NAMES).index(compared_with(key[1])))
    return {key: groups[key] for key in order}


def middle(cells: Sequence[Cell], value: Callable[[Cell], float | None]) -> float | None:
    """The median of what the rounds have; None where none has it."""
    values = [found for cell in cells if (found := value(cell)) is not None]
    return median(values) if values else None


def rate(cells: Sequence[Cell]) -> float:
    return median(cell.requests_per_second for cell in cells)


def p99(cells: Sequence[Cell]) -> float:
    """Endless where it could not be told."""
    found = middle(cells, lambda cell: cell.latency("p99"))
    return float("inf") if found is None else found


def in_order(values: Iterable[Any]) -> list[Any]:
    """Each once, where it first comes."""
    return list(dict.fromkeys(values))
