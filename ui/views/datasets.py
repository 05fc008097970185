"""Datasets: a file through one backend or both, with what came of it."""

import time

import pandas as pd
import streamlit as st

from ui import files, frame, recipes
from ui.answers import BACKENDS, NAMES, Backend
from ui.files import FileError
from ui.frame import Frame
from ui.panels import scored
from ui.panels.scored import Scoring
from ui.scoring import Progress, ScoreRun
from ui.words import count, duration, escaped

NO_LABELS = "None"


def main() -> None:
    page = frame.page("Datasets", "Score a whole file, and see where the backends differ.")
    scoring: Scoring | None = st.session_state.get("scoring")
    running = scoring is not None and scoring.run.wanted
    _file(page, running)
    if scoring is None:
        return
    st.divider()
    st.subheader(escaped(scoring.name), anchor=False)
    if running:
        _progress(scoring.run)
    else:
        scored.ending(scoring.run)
        scored.results(page, scoring)


def _file(page: Frame, running: bool) -> None:
    settings = page.settings
    uploaded = st.file_uploader(
        f"A CSV, TSV, NDJSON or Parquet file of at most {settings.max_upload_mb} MB "
        f"and {count(settings.max_rows)} rows",
        files.ENDINGS,
        max_upload_size=settings.max_upload_mb,
        key="file",
        disabled=running,
    )
    name, content, column = "reviews.csv", b"", "text"
    # Streamlit's limit of one uploader is the browser's to keep.
    if uploaded is not None and uploaded.size > settings.max_upload_mb * 1024 * 1024:
        st.error(f"**The file has more than {settings.max_upload_mb} MB.**")
    elif uploaded is not None:
        name, content = uploaded.name, uploaded.getvalue()
        table = _read(name, content, settings.max_rows)
        if table is not None:
            column = _choices(page, name, table, running)
    _past_the_page(page, name, content, column)


def _read(name: str, content: bytes, max_rows: int) -> pd.DataFrame | None:
    """Read an upload once; a redraw finds it in the session."""
    key = (name, hash(content), max_rows)
    kept = st.session_state.get("table")
    if kept is not None and kept[0] == key:
        table: pd.DataFrame = kept[1]
        return table
    try:
        table = files.read(name, content, max_rows)
    except FileError as error:
        st.error(f"**{escaped(str(error))}**", icon=":material/file_present:")
        return None
    st.session_state["table"] = (key, table)
    return table


def _choices(page: Frame, name: str, table: pd.DataFrame, running: bool) -> str:
    columns = list(map(str, table.columns))
    with st.container(border=True):
        first, second, third = st.columns(3)
        column = first.selectbox(
            "Text column", columns, columns.index(files.text_column(table)), disabled=running
        )
        labels = second.selectbox(
            "Label column",
            [NO_LABELS, *columns],
            _place(columns, files.label_column(table)),
            disabled=running,
            help="With labels the page also shows accuracy, F1 and a confusion matrix.",
        )
        chosen = third.pills(
            "Backends",
            BACKENDS,
            selection_mode="multi",
            default=list(BACKENDS),
            format_func=lambda backend: NAMES[backend],
            disabled=running,
        )
        st.dataframe(table.head(5), hide_index=True)
        st.button(
            f"Score {count(len(table))} rows",
            type="primary",
            icon=":material/play_arrow:",
            disabled=running or not chosen,
            on_click=_start,
            args=(page, name, table, column, None if labels == NO_LABELS else labels, chosen),
        )
    return column


def _place(columns: list[str], guessed: str | None) -> int:
    return 0 if guessed is None else columns.index(guessed) + 1


def _start(
    page: Frame,
    name: str,
    table: pd.DataFrame,
    column: str,
    labels: str | None,
    chosen: list[Backend],
) -> None:
    before: Scoring | None = st.session_state.get("scoring")
    if before is not None and before.run.wanted:
        return  # a second click, before the first had the button disabled
    backends = [backend for backend in BACKENDS if backend in chosen]
    run = ScoreRun(
        page.service.client,
        files.texts(table, column),
        backends,
        page.settings.rows_per_request,
    )
    st.session_state["scoring"] = Scoring(run.start(), name, table, labels)


@st.fragment(run_every=0.5)
def _progress(run: ScoreRun) -> None:
    run.watch()
    if not run.wanted:
        st.rerun()
    for backend, side in run.sides.items():
        st.progress(side.done / side.total, text=f"{NAMES[backend]}: {_pace(side)}")
    st.button("Cancel", icon=":material/stop_circle:", on_click=run.cancel)


def _pace(side: Progress) -> str:
    done = f"{count(side.done)} of {count(side.total)} rows"
    if side.waits_for is not None:
        left = duration(side.waits_until - time.monotonic())
        return f"{done}; {side.waits_for.sentence} Goes on in {left}."
    if side.left is None:
        return done
    return f"{done}, {count(side.rate)} a second, {duration(side.left)} left"


def _past_the_page(page: Frame, name: str, content: bytes, column: str) -> None:
    settings = page.settings
    with st.expander("A file too large for a page", icon=":material/terminal:"):
        st.write(
            "Send it to the stream route from a terminal. Answers come as they are done, one "
            "line a row; after a break, `offset=` with the number of rows answered goes on there."
        )
        try:
            kind = files.format_of(name)
        except FileError:
            name, kind = "reviews.csv", "csv"
        backend: Backend = BACKENDS[1]
        with_key = settings.api_key is not None
        st.code(
            recipes.curl(
                settings.people_url,
                backend,
                name,
                kind,
                column,
                with_key=with_key,
                separator=files.separator(content) if kind == "csv" else ",",
            ),
            language="bash",
            wrap_lines=True,
        )


main()
