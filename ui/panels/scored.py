"""A scored file: how it ended, how the backends differ, and how well labels were met."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from ui import files, states
from ui.answers import BACKENDS, NAMES, Backend
from ui.charts import datasets as charts
from ui.errors import NotThereError
from ui.files import Format
from ui.frame import Frame
from ui.quality import common, matched, quality
from ui.scoring import Progress, ScoreRun, disagreements_first, joined
from ui.words import count, duration, escaped, score

SHOWN_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Scoring:
    """A run, and the file and the choices it was started with."""

    run: ScoreRun
    name: str
    table: pd.DataFrame
    labels: str | None


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
            st.caption(
                f"{NAMES[backend]}: {count(side.done)} of {count(side.total)} rows in "
                f"{duration(side.seconds)}, {count(side.rate)} a second."
            )
        if side.truncated:
            st.caption(
                f"{NAMES[backend]}: {count(side.truncated)} texts are longer than the model reads; "
                "their ends were left out."
            )


def results(page: Frame, scoring: Scoring) -> None:
    sides = {b: side for b, side in scoring.run.sides.items() if side.done}
    if not sides:
        return
    rows = joined(scoring.table, sides)
    both = len(sides) == len(BACKENDS)
    if both:
        _agreement(rows)
        rows = disagreements_first(rows, *BACKENDS)
    _download(scoring.name, rows.sort_index())
    _shapes(page, sides)
    if scoring.labels is not None:
        _judged(page, files.texts(scoring.table, scoring.labels), sides)
    st.subheader("Rows, disagreements first" if both else "Rows", anchor=False)
    st.dataframe(rows.head(SHOWN_ROWS), hide_index=True, column_config=_columns(sides))
    if len(rows) > SHOWN_ROWS:
        st.caption(f"The first {count(SHOWN_ROWS)} rows; the download has all of them.")


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


def _download(name: str, scored: pd.DataFrame) -> None:
    kind: Format = files.format_of(name)
    stem, ending = name.rsplit(".", 1)
    st.download_button(
        "Download the scored file",
        lambda: files.write(scored, kind),
        f"{stem}.scored.{ending}",
        files.MIME[kind],
        icon=":material/download:",
        on_click="ignore",
    )


def _shapes(page: Frame, sides: dict[Backend, Progress]) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader("Labels", anchor=False)
        st.altair_chart(
            charts.labels(sides, page.info.model.labels),
            width="stretch",
            alt="How many rows each backend gave each label",
        )
        if len(page.info.model.labels) > charts.SHOWN_LABELS:
            st.caption(
                f"The {charts.SHOWN_LABELS} most frequent of {len(page.info.model.labels)} labels."
            )
    with right:
        st.subheader("Scores", anchor=False)
        st.altair_chart(charts.scores(sides), width="stretch", alt="How sure each backend was")


def _judged(page: Frame, given: list[str], sides: dict[Backend, Progress]) -> None:
    labels = page.info.model.labels
    truths = matched(given, labels)
    unknown = sum(truth is None and bool(g.strip()) for truth, g in zip(truths, given, strict=True))
    st.subheader("Against the given labels", anchor=False)
    if not any(truths):
        known = escaped(", ".join(labels)) or "none it names"
        st.warning(
            f"**The file's labels are not the model's.** The model knows: {known}; "
            "their numbers, counted from 0, do as well.",
            icon=":material/rule:",
        )
        return
    found = {backend: _found(side, len(truths)) for backend, side in sides.items()}
    # On the same rows: one that was stopped earlier has an easier or a harder part of the file.
    truths = common(truths, found.values())
    for column, backend in zip(st.columns(len(sides)), sides, strict=True):
        judged = quality(truths, found[backend], labels)
        with column, st.container(border=True):
            st.markdown(f"**{NAMES[backend]}**")
            if judged is None:
                st.caption("No row has both a given and a found label.")
                continue
            accuracy, f1 = st.columns(2, wrap=False)
            accuracy.metric("Accuracy", score(judged.accuracy))
            f1.metric("F1, mean of classes", f"{judged.f1:.4f}")
            st.altair_chart(
                charts.confusion(judged),
                width="stretch",
                alt=f"Given labels against those {NAMES[backend]} found",
            )
            st.caption(f"{count(judged.rows)} rows with a given label and one of each backend.")
    if unknown:
        st.caption(f"{count(unknown)} rows have a label the model does not know.")


def _found(side: Progress, rows: int) -> list[str | None]:
    return [side.rows[n].label if n in side.rows else None for n in range(rows)]
