"""Datasets: a file through one backend or both, with what came of it."""

import time
from dataclasses import dataclass

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ui import files, frame, recipes
from ui.answers import BACKENDS, NAMES, Backend
from ui.files import Dialect, FileError
from ui.frame import Frame
from ui.panels import scored
from ui.panels.scored import Scoring
from ui.scoring import Progress, ScoreRun
from ui.words import count, duration, escaped

NO_LABELS = "None"
_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was read, once."""

    name: str
    table: pd.DataFrame | FileError
    dialect: Dialect


def main() -> None:
    page = frame.page("Datasets", "Score a whole file, and see where the backends differ.")
    scoring: Scoring | None = st.session_state.get("scoring")
    running = scoring is not None and scoring.run.wanted
    _file(page, running)
    if scoring is None:
        return
    st.divider()
    st.subheader(escaped(scoring.name), anchor=False)
    of_labels = f"; labels: {escaped(scoring.labels)}" if scoring.labels is not None else ""
    st.caption(f"Text column: {escaped(scoring.column)}{of_labels}")
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
        on_change=_forget,
    )
    # Streamlit's limit of one uploader is the browser's to keep.
    if uploaded is not None and uploaded.size > settings.max_upload_mb * 1024 * 1024:
        st.error(f"**The file has more than {settings.max_upload_mb} MB.**")
    elif uploaded is not None and "upload" not in st.session_state:
        st.session_state["upload"] = _read(uploaded, settings.max_rows)
    upload: Upload | None = st.session_state.get("upload")
    table = upload.table if upload is not None else None
    column = "text"
    if isinstance(table, FileError):
        st.error(f"**{escaped(str(table))}**", icon=":material/file_present:")
    elif upload is not None and table is not None:
        if uploaded is None:
            st.caption(f"{escaped(upload.name)} is still here from before.")
        column = _choices(page, upload, table, running)
    _past_the_page(page, upload, column)


def _forget() -> None:
    """Forget a file once another takes its place or it is taken away, and not before.

    The uploader itself is empty after a look at another page.
    """
    st.session_state.pop("upload", None)


def _read(uploaded: UploadedFile, max_rows: int) -> Upload:
    content = uploaded.getvalue()
    table: pd.DataFrame | FileError
    dialect = Dialect()
    try:
        dialect = files.dialect(files.format_of(uploaded.name), content)
        table = files.read(uploaded.name, content, max_rows)
    except FileError as error:
        table = error
    return Upload(uploaded.name, table, dialect)


def _choices(page: Frame, upload: Upload, table: pd.DataFrame, running: bool) -> str:
    columns, of = list(table.columns), _columns_of(table)
    with st.container(border=True):
        first, second, third = st.columns(3)
        column: str = first.selectbox(
            "Text column",
            columns,
            columns.index(files.text_column(table)),
            key=f"column {of}",
            disabled=running,
        )
        second.selectbox(
            "Label column",
            [NO_LABELS, *columns],
            _place(columns, files.label_column(table)),
            key=f"labels {of}",
            disabled=running,
            help="With labels the page also shows accuracy, F1 and a confusion matrix.",
        )
        chosen = third.pills(
            "Backends",
            BACKENDS,
            selection_mode="multi",
            default=list(BACKENDS),
            format_func=lambda backend: NAMES[backend],
            key="backends",
            disabled=running,
        )
        st.dataframe(table.head(5), hide_index=True)
        if files.format_of(upload.name) == "csv":
            st.caption(f"Columns parted by {_MARKS[upload.dialect.separator]}.")
        st.button(
            f"Score {count(len(table))} rows",
            type="primary",
            icon=":material/play_arrow:",
            disabled=running or not chosen,
            on_click=_start,
            args=(page, upload, table),
        )
    return column


def _columns_of(table: pd.DataFrame) -> int:
    """What is chosen holds for files with the same columns."""
    return hash(tuple(table.columns))


def _place(columns: list[str], guessed: str | None) -> int:
    return 0 if guessed is None else columns.index(guessed) + 1


def _start(page: Frame, upload: Upload, table: pd.DataFrame) -> None:
    # Not what the page was drawn with: something else may be chosen with the click itself.
    chosen, of = st.session_state, _columns_of(table)
    column, labels = chosen[f"column {of}"], chosen[f"labels {of}"]
    backends = [backend for backend in BACKENDS if backend in chosen["backends"]]
    before: Scoring | None = chosen.get("scoring")
    if not backends or (before is not None and before.run.wanted):
        return  # a second click, before the first had the button disabled
    run = ScoreRun(
        page.service.client,
        files.texts(table, column),
        backends,
        page.settings.rows_per_request,
    )
    st.session_state["scoring"] = Scoring(
        run.start(),
        upload.name,
        table,
        upload.dialect,
        column,
        None if labels == NO_LABELS else labels,
    )


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


def _past_the_page(page: Frame, upload: Upload | None, column: str) -> None:
    settings = page.settings
    with st.expander("A file too large for a page", icon=":material/terminal:"):
        st.write(
            "Send it to the stream route from a terminal. Answers come as they are done, one "
            "line a row; after a break, `offset=` with the number of rows answered goes on there."
        )
        name = upload.name if upload is not None else "reviews.csv"
        separator = upload.dialect.separator if upload is not None else ","
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
                separator=separator if kind == "csv" else ",",
            ),
            language="bash",
            wrap_lines=True,
        )


main()
