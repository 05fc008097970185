"""Latency: many requests to both backends, and what their times look like."""

import streamlit as st

from ui import frame, latency, states
from ui.answers import BACKENDS, NAMES
from ui.charts import latency as charts
from ui.charts import parts
from ui.compare import budgets, verdict
from ui.frame import Frame
from ui.load import LoadRun, repeated
from ui.words import count, escaped, listed

CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SEPARATE = "In turns"
TOGETHER = "Both at once"


def main() -> None:
    page = frame.page("Latency", "Many requests to both backends, timed one by one.")
    run: LoadRun | None = st.session_state.get("load")
    running = run is not None and run.running
    _controls(page, running)
    if run is None:
        return
    if running:
        _progress(run)
    else:
        _results(run)


def _controls(page: Frame, running: bool) -> None:
    with st.container(border=True):
        source = st.segmented_control(
            "Texts",
            ["Examples", "My own"],
            default="Examples",
            required=True,
            key="load_source",
            persist_state="session",
            disabled=running,
        )
        if source == "My own":
            st.text_area(
                "One text a line",
                key="load_texts",
                height=140,
                persist_state="session",
                disabled=running,
            )
        requests, concurrency, order = st.columns(3)
        requests.number_input(
            "Requests to each backend",
            min_value=1,
            max_value=page.settings.max_requests,
            value=min(200, page.settings.max_requests),
            step=50,
            key="load_requests",
            persist_state="session",
            disabled=running,
        )
        concurrency.select_slider(
            "At the same time",
            [c for c in CONCURRENCIES if c <= page.settings.max_concurrency],
            value=1,
            key="load_concurrency",
            persist_state="session",
            disabled=running,
        )
        order.segmented_control(
            "Order",
            [SEPARATE, TOGETHER],
            default=SEPARATE,
            required=True,
            key="load_order",
            persist_state="session",
            disabled=running,
            help="In turns, each backend has the machine to itself: PyTorch for half of its "
            "requests, ONNX, ONNX, PyTorch again. Both at once, they share it, as they do when "
            "both are in use.",
        )
        st.button(
            "Measure",
            type="primary",
            icon=":material/speed:",
            disabled=running or not _texts(page),
            on_click=_start,
            args=(page,),
        )


def _texts(page: Frame) -> list[str]:
    """Those that are chosen now."""
    if st.session_state.get("load_source") != "My own":
        return list(page.settings.examples)
    pasted = st.session_state.get("load_texts") or ""
    return [line.strip() for line in pasted.splitlines() if line.strip()]


def _start(page: Frame) -> None:
    # What is typed just before the click is not yet in what the page was drawn with.
    texts, now = _texts(page), st.session_state
    before: LoadRun | None = now.get("load")
    if not texts or (before is not None and before.wanted):
        return  # a second click, before the first had the button disabled
    now["load"] = LoadRun(
        page.service.client,
        repeated(texts, int(now["load_requests"] or 1)),
        int(now["load_concurrency"]),
        together=now["load_order"] == TOGETHER,
    ).start()


@st.fragment(run_every=0.5)
def _progress(run: LoadRun) -> None:
    run.watch()
    if not run.running:
        st.rerun()
    for backend, side in run.sides.items():
        done = len(side.samples)
        st.progress(done / run.total, text=f"{NAMES[backend]}: {done} of {run.total}")
    st.button("Cancel", icon=":material/stop_circle:", on_click=run.cancel)


def _results(run: LoadRun) -> None:
    if run.cut_short:
        st.info(f"{run.cut_short}; what was measured until then is below.", icon=":material/info:")
    for backend, side in run.sides.items():
        if side.stopped_by:
            st.caption(f"{NAMES[backend]} ended early.")
            states.show(side.stopped_by)
        elif side.last_error and (failures := latency.failures(side)):
            for error, times in failures:
                st.caption(f"{NAMES[backend]}, {count(times)} of {count(run.total)}: {error}")
            states.show(side.last_error)
    if not any(side.samples for side in run.sides.values()):
        return
    usual = latency.usual_basis(run)
    basis = st.segmented_control(
        "Time", latency.BASES, default=usual, required=True, key="load_basis"
    )
    basis = basis or usual
    _numbers(run, basis)
    _charts(run, basis)
    st.download_button(
        "Download CSV",
        latency.csv(run.sides, run.info),
        "latency.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _numbers(run: LoadRun, basis: str) -> None:
    summaries = {b: latency.summary(side, basis) for b, side in run.sides.items()}
    ratio = latency.percent(summaries)
    if reason := latency.no_ratio(run, basis):
        st.markdown(f"**No ratio:** {reason}.")
    elif ratio is not None:
        told = zip(BACKENDS, budgets(run.info), strict=True)
        named = listed([f"{NAMES[backend]} with {budget}" for backend, budget in told])
        st.markdown(f"**At the median: {verdict(ratio)}** {escaped(named)}.")
    milliseconds = st.column_config.NumberColumn(format="%.1f ms")
    st.dataframe(
        latency.table(summaries),
        hide_index=True,
        column_config={
            "backend": "Backend",
            "requests": "Requests",
            "errors": "Errors",
            "throughput": st.column_config.NumberColumn("Answers/s", format="%.1f"),
            "batch": st.column_config.NumberColumn("Texts in a batch", format="%.1f"),
            **{f"p{p}": milliseconds for p in latency.PERCENTILES},
            "mean": milliseconds,
            "max": milliseconds,
        },
    )
    if latency.busiest(run) > latency.BUSY:
        st.caption(
            f"The page's own client took {100 * latency.busiest(run):.0f} % of a core: "
            "answers/s may be its limit and not the service's."
        )
    st.caption(
        f"{escaped(run.info.model.id)}, {count(run.concurrency)} at the same time, "
        f"{'both backends at once' if run.together else 'the backends in turns'}; "
        "each connection asked once before what was measured."
    )


def _charts(run: LoadRun, basis: str) -> None:
    taken = {b: latency.times(side.samples, basis) for b, side in run.sides.items()}
    taken = {backend: times for backend, times in taken.items() if times}
    if not taken:
        return
    st.subheader("How many were answered within a time", anchor=False)
    st.altair_chart(
        charts.spread(taken, basis),
        width="stretch",
        alt="For each backend, the share of requests answered within a time",
    )
    shares = {b: latency.parts(side.samples) for b, side in run.sides.items()}
    if any(shares.values()):
        st.subheader("Where the time went, on average", anchor=False)
        st.altair_chart(
            parts.stacked(shares),
            width="stretch",
            alt="The parts of an average round trip of both backends, in milliseconds",
        )


main()
