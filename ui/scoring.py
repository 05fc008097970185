"""All rows of a table through the stream route of one backend or both."""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from ui import errors
from ui.answers import Backend, Scored, Summary
from ui.client import Client
from ui.errors import ServiceError, TooLargeError, UnreachableError
from ui.work import Work, together

PASSING = (
    errors.UnreachableError,
    errors.StartingError,
    errors.TimedOutError,
    errors.OverQuotaError,
    errors.OverloadedError,
)
"""After these a row may be asked for again: nothing is changed by asking twice."""
PATIENCE = 6
"""So many refusals in a row, with nothing scored between them, end a run."""
PATIENCE_S = 300.0
"""A service that is away or starting is waited for at least so long: it may be a restart."""
FIRST_PAUSE_S = 0.5
DOUBLINGS = 5
"""Of the pause between two refusals, which is 16 seconds at the longest."""
RATE_WINDOW_S = 5.0


@dataclass
class Progress:
    """One backend's part of a run; `rows` are those that have come so far, without a gap."""

    total: int
    rows: list[Scored] = field(default_factory=list)
    truncated: int = 0
    """Texts that were cut, in the calls that came to their end: there they say so."""
    uncounted: bool = False
    """Whether a call gave rows and came to no end."""
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None
    stopped_by: ServiceError | None = None
    waits_until: float = 0.0
    waits_for: ServiceError | None = None
    waited: float = 0.0
    """Seconds that passed in pauses."""
    marks: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def done(self) -> int:
        return len(self.rows)

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started

    @property
    def rate(self) -> float:
        """Rows a second: of late while it runs, of the whole once it has ended."""
        if self.ended is None and len(self.marks) > 1:
            (since, before), (until, now) = self.marks[0], self.marks[-1]
            if until > since:
                return (now - before) / (until - since)
        worked = self.seconds - self.waited
        return self.done / worked if worked > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until all rows are done, as it looks now."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None

    def padded(self) -> list[Scored | None]:
        """One for each row of the file; None for those that have not come."""
        rows: list[Scored | None] = [*self.rows]  # more may come meanwhile
        return rows + [None] * (self.total - len(rows))

    def take(self, scored: Scored, now: float) -> None:
        self.rows.append(scored)
        if not self.marks or now - self.marks[-1][0] >= 0.1:
            self.marks.append((now, self.done))
            while now - self.marks[0][0] > RATE_WINDOW_S and len(self.marks) > 2:
                self.marks.popleft()


class ScoreRun(Work):
    """Rows go in short calls, each one taken up again where it broke off.

    What is scored stays, whatever ends the run.
    """

    def __init__(
        self,
        client: Client,
        texts: Sequence[str],
        backends: Sequence[Backend],
        rows_per_request: int,
    ) -> None:
        super().__init__()
        self.sides: dict[Backend, Progress] = {b: Progress(len(texts)) for b in backends}
        self._client = client
        self._texts = texts
        self._rows_per_request = rows_per_request

    def work(self) -> None:
        together("score", [partial(self._side, *item) for item in self.sides.items()])

    def _side(self, backend: Backend, side: Progress) -> None:
        side.started = time.monotonic()
        size, refusals, scored_at = self._rows_per_request, 0, side.started
        while side.done < side.total and not self.stopped:
            before = side.done
            try:
                self._call(backend, side, min(before + size, side.total))
                refusals, scored_at = 0, time.monotonic()
            except TooLargeError as error:
                if size == 1:
                    side.take(Scored(0, error=error.sentence), time.monotonic())
                size = max(1, size // 2)
            except ServiceError as told:
                fault = self._client.diagnose(told)
                if side.done > before:
                    refusals, scored_at = 0, time.monotonic()
                refusals += 1
                away = isinstance(fault, (errors.UnreachableError, errors.StartingError))
                patient = away and time.monotonic() - scored_at < PATIENCE_S
                if not isinstance(fault, PASSING) or (refusals > PATIENCE and not patient):
                    side.stopped_by = fault
                    break
                self._pause(side, fault, refusals)
        side.ended = time.monotonic()

    def _call(self, backend: Backend, side: Progress, end: int) -> None:
        """Send the rows after the last one done, up to before `end`."""
        start = side.done
        # Numbered from 0 in each call, as the service numbers a row whose number it cannot read.
        asked = ((row - start, self._texts[row]) for row in range(start, end))
        counted = False
        try:
            for scored in self._client.stream(backend, asked):
                if isinstance(scored, Summary):
                    side.truncated += scored.truncated
                    counted = True
                    continue
                if scored.id != side.done - start:
                    raise ServiceError("The service's answers do not match the rows it was sent.")
                side.take(scored, time.monotonic())
                if self.stopped:
                    return
        finally:
            side.uncounted |= side.done > start and not counted
        if side.done < end:
            raise UnreachableError("The service ended its answer before the last row.")

    def _pause(self, side: Progress, error: ServiceError, refusals: int) -> None:
        started = time.monotonic()
        seconds = error.retry_after or FIRST_PAUSE_S * 2 ** min(refusals - 1, DOUBLINGS)
        side.waits_for, side.waits_until = error, started + seconds
        self.wait(seconds)
        side.waits_for = None
        side.waited += time.monotonic() - started


def joined(frame: pd.DataFrame, sides: dict[Backend, Progress]) -> pd.DataFrame:
    """Put what was scored so far beside the file's own columns."""
    columns: dict[str, list[object]] = {}
    for backend, side in sides.items():
        rows = side.padded()
        columns[f"{backend}_label"] = [r.label if r else None for r in rows]
        columns[f"{backend}_score"] = [r.score if r else None for r in rows]
        columns[f"{backend}_error"] = [r.error if r else None for r in rows]
    taken = frame.drop(columns=replaced(frame, sides))
    for backend in sides:
        if not any(columns[f"{backend}_error"]):
            del columns[f"{backend}_error"]
    return pd.concat([taken, pd.DataFrame(columns, index=frame.index)], axis=1)


def replaced(frame: pd.DataFrame, backends: Iterable[Backend]) -> list[str]:
    """List the file's own columns that `joined` leaves out, having new ones of these names."""
    new = {f"{backend}_{part}" for backend in backends for part in ("label", "score", "error")}
    return [name for name in frame.columns if name in new]


def disagreements_first(scored: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    """Order rows: different labels before equal ones, and the surest before the doubtful."""
    labels = scored[f"{one}_label"], scored[f"{other}_label"]
    both = labels[0].notna() & labels[1].notna()
    apart = both & (labels[0] != labels[1])
    sureness = scored[[f"{one}_score", f"{other}_score"]].astype(float).min(axis=1)
    order = pd.DataFrame({"apart": ~apart, "sureness": -sureness.fillna(-1)})
    return scored.loc[order.sort_values(["apart", "sureness"], kind="stable").index]
