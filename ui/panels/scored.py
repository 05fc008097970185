"""A scored file: how it ended, how the backends differ, and how well labels were met."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from ui import files, states
from ui.answers import BACKENDS, NAMES, Backend
from ui.charts import datasets as charts
from ui.errors import NotThereError
from ui.files import Dialect, Format
from ui.frame import Frame
from ui.quality import Quality, common, matched, quality
from ui.scoring import Progress, ScoreRun, disagreements_first, joined, replaced
from ui.words import count, duration, escaped, listed, score

SHOWN_ROWS = 2_000


@dataclass(slots=True)
class Scoring:
    """A run, and the file and the choices it was started with."""

    run: ScoreRun
    name: str
    table: pd.DataFrame
    dialect: Dialect
    column: str
    labels: str | None
    results: "Results | None" = None
    """What came of it, once it has ended: a large file's takes seconds."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A file's labels against those that were found."""

    known: bool
    """Whether any is one of the model's."""
    unknown: int
    qualities: dict[Backend, Quality | None]


@dataclass(frozen=True, slots=True)
class Results:
    model_labels: tuple[str, ...]
    rows: pd.DataFrame
    label_chart: alt.Chart
    score_chart: alt.Chart
    judged: Judged | None


def ending(run: ScoreRun) -> None:
    """Say how it ended, above what was scored until then."""
    if run.cut_short:
        st.info(f"{run.cut_short}; what was scored until then is below.", icon=":material/info:")
    for backend, side in run.sides.items():
        if isinstance(side.stopped_by, NotThereError):
            st.warning(
                f"**{NAMES[backend]}: this service does not score files yet.** It has no stream "
                "route; bring it to a version that has one, and the page will use it.",
                icon=":material/wrong_location:",
            )
        elif side.stopped_by is not None:
            st.caption(
                f"{NAMES[backend]} ended after {count(side.done)} of {count(side.total)} rows; "
                "what was scored until then is below."
            )
            states.show(side.stopped_by)
        elif side.done:
            waited = f", {duration(side.waited)} of it waiting" if side.waited >= 0.1 else ""
            st.caption(
                f"{NAMES[backend]}: {count(side.done)} of {count(side.total)} rows in "
                f"{duration(side.seconds)}{waited}, {count(side.rate)} a second."
            )
        if side.truncated:
            least = "at least " if side.uncounted else ""
            st.caption(
                f"{NAMES[backend]}: {least}{count(side.truncated)} texts are longer than the model "
                "reads; their ends were left out."
            )
    if len(run.sides) > 1:
        st.caption("Both at once, sharing the machine: not a comparison of speed; Latency is.")


def results(page: Frame, scoring: Scoring) -> None:
    sides = {b: side for b, side in scoring.run.sides.items() if side.done}
    if not sides:
        return
    labels = page.info.model.labels
    found = scoring.results
    if found is None or found.model_labels != labels:
        found = _results(scoring, sides, labels)
        if not scoring.run.running:  # one that was cancelled may take some rows more
            scoring.results = found
    if len(sides) == len(BACKENDS):
        _agreement(found.rows)
    _download(scoring, found.rows)
    if old := replaced(scoring.table, sides):
        st.caption(f"New columns take the place of the file's own: {escaped(listed(old))}.")
    _shapes(found)
    if found.judged is not None:
        _judged(found.judged, labels)
    first = ", disagreements first" if len(sides) == len(BACKENDS) else ""
    st.subheader(f"Rows{first}", anchor=False)
    st.dataframe(found.rows.head(SHOWN_ROWS), hide_index=True, column_config=_columns(sides))
    if len(found.rows) > SHOWN_ROWS:
        st.caption(f"The first {count(SHOWN_ROWS)} rows; the download has all of them.")


def _results(scoring: Scoring, sides: dict[Backend, Progress], labels: tuple[str, ...]) -> Results:
    rows = joined(scoring.table, sides)
    if len(sides) == len(BACKENDS):
        rows = disagreements_first(rows, *BACKENDS)
    judged = None
    if scoring.labels is not None:
        judged = _compared(files.texts(scoring.table, scoring.labels), sides, labels)
    return Results(labels, rows, charts.labels(sides, labels), charts.scores(sides), judged)


def _columns(sides: Iterable[Backend]) -> dict[str, Any]:
    """Title what was scored now; a file may bring columns of an earlier run."""
    names: dict[str, Any] = {}
    for backend in sides:
        names[f"{backend}_label"] = NAMES[backend]
        names[f"{backend}_score"] = st.column_config.NumberColumn("score", format="%.4f")
        names[f"{backend}_error"] = f"{NAMES[backend]}: error"
    return names


def _agreement(scored: pd.DataFrame) -> None:
    labels = scored[[f"{backend}_label" for backend in BACKENDS]].dropna()
    if labels.empty:
        return
    apart = int((labels.iloc[:, 0] != labels.iloc[:, 1]).sum())
    same, different = st.columns(2)
    same.metric("Same label", score(1 - apart / len(labels)), border=True)
    different.metric("Different labels", f"{count(apart)} rows", border=True)
    st.caption(f"Of {count(len(labels))} rows that both gave a label.")


def _download(scoring: Scoring, rows: pd.DataFrame) -> None:
    kind: Format = files.format_of(scoring.name)
    stem, ending = scoring.name.rsplit(".", 1)
    st.download_button(
        "Download the scored file",
        lambda: files.write(rows.sort_index(), kind, scoring.dialect),
        f"{stem}.scored.{ending}",
        files.MIME[kind],
        icon=":material/download:",
        on_click="ignore",
    )


def _shapes(found: Results) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader("Labels", anchor=False)
        st.altair_chart(
            found.label_chart,
            width="stretch",
            alt="How many rows each backend gave each label",
        )
        if len(found.model_labels) > charts.SHOWN_LABELS:
            st.caption(
                f"The {charts.SHOWN_LABELS} most frequent of {len(found.model_labels)} labels."
            )
    with right:
        st.subheader("Scores", anchor=False)
        st.altair_chart(found.score_chart, width="stretch", alt="How sure each backend was")


def _compared(given: list[str], sides: dict[Backend, Progress], labels: tuple[str, ...]) -> Judged:
    truths = matched(given, labels)
    unknown = sum(truth is None and bool(g.strip()) for truth, g in zip(truths, given, strict=True))
    found = {
        backend: [row.label if row else None for row in side.padded()]
        for backend, side in sides.items()
    }
    # On the same rows: one that was stopped earlier has an easier or a harder part of the file.
    alike = common(truths, found.values())
    qualities = {backend: quality(alike, found[backend], labels) for backend in sides}
    return Judged(any(truths), unknown, qualities)


def _judged(judged: Judged, labels: tuple[str, ...]) -> None:
    st.subheader("Against the given labels", anchor=False)
    if not judged.known:
        known = escaped(", ".join(labels)) or "none it names"
        st.warning(
            f"**The file's labels are not the model's.** The model knows: {known}; "
            "their numbers, counted from 0, do as well.",
            icon=":material/rule:",
        )
        return
    columns = st.columns(len(judged.qualities))
    for column, (backend, found) in zip(columns, judged.qualities.items(), strict=True):
        with column, st.container(border=True):
            st.markdown(f"**{NAMES[backend]}**")
            if found is None:
                st.caption("No row has both a given and a found label.")
                continue
            accuracy, f1 = st.columns(2, wrap=False)
            accuracy.metric("Accuracy", score(found.accuracy))
            f1.metric("F1, mean of classes", f"{found.f1:.4f}")
            st.altair_chart(
                charts.confusion(found),
                width="stretch",
                alt=f"Given labels against those {NAMES[backend]} found",
            )
            st.caption(f"{count(found.rows)} rows with a given label and one of each backend.")
    if judged.unknown:
        st.caption(f"{count(judged.unknown)} rows have a label the model does not know.")
