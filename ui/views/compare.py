"""Compare: one text, both backends at the same time, side by side."""

from collections.abc import Sequence

import streamlit as st

from ui import frame, states
from ui.answers import BACKENDS, NAMES, Answer, Backend
from ui.charts import answers as charts
from ui.compare import Comparison, ask, budgets, unequal, verdict
from ui.frame import Frame
from ui.labels import look, plain
from ui.panels import past
from ui.words import NOTHING, escaped, milliseconds, points, score, short

# Longer texts make addresses that mail programs and proxies cut off.
LINKABLE = 2_000
HEADING = 200


def main() -> None:
    page = frame.page("Compare", "One text, one model, asked of both backends at the same moment.")
    _ask_for_link()
    waiting = _input(page)
    # What is chosen while the service asked to be left alone is asked once that time is over.
    if not waiting and (text := st.session_state.pop("ask", None)) is not None:
        _compare(page, text)
    shown: Comparison | None = st.session_state.get("shown")
    if shown is not None:
        _link(shown)
        _result(shown)
    past.show(page.settings.history_rows)


def _ask_for_link() -> None:
    """An address with `?text=` asks by itself when a session begins with it."""
    if "text" in st.session_state:
        return
    linked = st.query_params.get("text", "").strip()
    st.session_state["text"] = linked
    if linked:
        st.session_state["ask"] = linked


def _link(shown: Comparison) -> None:
    """Let the address be one that shows a colleague the same comparison."""
    if len(shown.text) > LINKABLE:
        st.query_params.clear()
    elif st.query_params.get("text") != shown.text:
        st.query_params["text"] = shown.text


def _input(page: Frame) -> bool:
    """Take a text; say whether the service asked to be left alone for now."""
    st.pills(
        "Examples",
        page.settings.examples,
        key="example",
        on_change=_example,
        label_visibility="collapsed",
    )
    with st.form("compare", border=False):
        st.text_area(
            "Text",
            key="text",
            height=100,
            placeholder="Type a sentence, or choose an example above",
            persist_state="session",
        )
        waiting = _waiting()
        st.form_submit_button(
            "Compare",
            type="primary",
            icon=":material/compare_arrows:",
            on_click=_submitted,
            disabled=waiting,
        )
    return waiting


def _waiting() -> bool:
    shown: Comparison | None = st.session_state.get("shown")
    errors = shown.errors.values() if shown else ()
    limited = max(errors, key=lambda error: error.retry_after or 0.0, default=None)
    return limited is not None and states.wait(limited, "compare")


def _example() -> None:
    chosen = st.session_state["example"]
    st.session_state["example"] = None
    if chosen:
        st.session_state["text"] = st.session_state["ask"] = chosen


def _submitted() -> None:
    st.session_state["ask"] = st.session_state["text"].strip()


def _compare(page: Frame, text: str) -> None:
    if not text:
        st.info("There is no text yet. Type one, or choose an example.", icon=":material/edit:")
        return
    with st.spinner("Asking both backends"):
        comparison = ask(page.service.client, text, page.info)
    st.session_state["shown"] = comparison
    if comparison.both:
        kept: list[Comparison] = st.session_state.setdefault("history", [])
        kept.append(comparison)
        del kept[: -page.settings.history_rows]
    if any(error.retry_after for error in comparison.errors.values()):
        st.rerun()


def _result(shown: Comparison) -> None:
    st.divider()
    st.markdown(f"**{escaped(short(shown.text, HEADING))}**")
    st.caption(escaped(shown.info.model.id))
    if shown.both:
        _summary(shown)
    for column, backend in zip(st.columns(len(BACKENDS)), BACKENDS, strict=True):
        with column, st.container(border=True):
            _side(shown, backend)
    if shown.answers:
        st.subheader("Where the time went", anchor=False)
        st.caption(f"From asking to having the last answer: {milliseconds(shown.took)}.")
        st.altair_chart(
            charts.times(shown.answers),
            width="stretch",
            alt="The parts of the round trip of both backends, in milliseconds",
        )


def _summary(shown: Comparison) -> None:
    one, other = budgets(shown.info)
    reason = unequal(one, other)
    ratio = None if reason else shown.percent
    agreement, difference, time = st.columns(3)
    agreement.metric("Label", "The same" if shown.agree else "Different", border=True)
    difference.metric("Score difference", points(shown.score_difference), border=True)
    time.metric(
        f"ONNX's {shown.basis}, of PyTorch's",
        NOTHING if ratio is None else f"{ratio:.0f} %",
        border=True,
    )
    if ratio is not None:
        st.markdown(
            f"{verdict(ratio)} PyTorch with {escaped(str(one))}; "
            f"ONNX with {escaped(str(other))}; one request each, at the same moment. "
            "One request says little; the Latency page measures."
        )
    elif reason:
        st.markdown(f"**No ratio:** {reason}.")


def _side(shown: Comparison, backend: Backend) -> None:
    st.subheader(NAMES[backend], anchor=False)
    st.caption(escaped(str(shown.info.backend(backend))))
    if backend in shown.errors:
        states.show(shown.errors[backend])
        return
    answer = shown.answers[backend]
    _label(answer, shown.info.model.labels)
    st.altair_chart(
        charts.scores(answer, shown.info.model.labels),
        width="stretch",
        alt=f"Scores of the classes, by {NAMES[backend]}",
    )
    server, trip = st.columns(2, wrap=False)
    server.metric("Server time", milliseconds(answer.server))
    trip.metric("Round trip", milliseconds(answer.round_trip))
    st.caption(_parts(answer))
    if answer.truncated:
        st.caption("The text is longer than the model reads; its end was left out.")


def _parts(answer: Answer) -> str:
    """Tell in words what the chart of the times shows."""
    timing = answer.timing
    if timing is None or answer.network is None:
        return "The service does not say how long it took."
    share = 100 * answer.network / answer.round_trip if answer.round_trip else 0.0
    return (
        f"Queue {milliseconds(timing.queue)}, tokenize {milliseconds(timing.tokenize)}, "
        f"inference {milliseconds(timing.inference)}; "
        f"the way there and back, with this page's own part, {share:.0f} % of the round trip."
    )


def _label(answer: Answer, labels: Sequence[str]) -> None:
    seen = look(answer.best.label, labels)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(escaped(plain(answer.best.label)), icon=seen.icon, color=seen.badge)
        st.markdown(f"**{score(answer.best.score)}**")


main()
