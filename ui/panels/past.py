"""What was compared before: totals, a table to sort, a download."""

from typing import Any

import streamlit as st

from ui import history
from ui.compare import Comparison
from ui.words import count, milliseconds


def show(most: int) -> None:
    """Show what the session compared so far; nothing where that is nothing."""
    kept: list[Comparison] = st.session_state.get("history", [])
    if not kept:
        return
    st.divider()
    st.subheader("History", anchor=False)
    total = history.totals(kept)
    st.caption(
        f"{count(total.count)} compared, {count(total.agreed)} with the same label; "
        f"{total.basis} of {count(total.timed)} in all: PyTorch {milliseconds(total.torch_ms)}, "
        f"ONNX {milliseconds(total.onnx_ms)}."
    )
    if len(kept) >= most:
        st.caption(f"Only the newest {count(most)} are kept; download them before they go.")
    rows = history.table(kept)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox("Sort by", list(history.ORDERS), key="order", width=260)
        st.download_button(
            "Download CSV",
            history.csv(rows),
            "comparisons.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.button("Clear", icon=":material/delete:", on_click=_clear)
    st.dataframe(
        history.ordered(rows, order),
        hide_index=True,
        column_config=_columns(),
        column_order=history.SHOWN,
    )


def _columns() -> dict[str, Any]:
    config = st.column_config
    return {
        "at": config.DatetimeColumn(
            "Time", format="HH:mm:ss", timezone=st.context.timezone or "UTC"
        ),
        "text": config.TextColumn("Text", width="medium"),
        "agree": config.CheckboxColumn("Same label"),
        "torch_label": "PyTorch",
        "torch_score": config.NumberColumn("PyTorch score", format="%.4f"),
        "torch_ms": config.NumberColumn("PyTorch server", format="%.1f ms"),
        "torch_round_trip_ms": config.NumberColumn("PyTorch round trip", format="%.1f ms"),
        "onnx_label": "ONNX",
        "onnx_score": config.NumberColumn("ONNX score", format="%.4f"),
        "onnx_ms": config.NumberColumn("ONNX server", format="%.1f ms"),
        "onnx_round_trip_ms": config.NumberColumn("ONNX round trip", format="%.1f ms"),
        "score_difference": config.NumberColumn("Score diff.", format="%.4f"),
        "ms_saved": config.NumberColumn("ONNX saves", format="%.1f ms"),
        "basis": "Basis",
        "model": "Model",
        "torch_precision": "PyTorch precision",
        "torch_threads": "PyTorch threads",
        "onnx_precision": "ONNX precision",
        "onnx_threads": "ONNX threads",
    }


def _clear() -> None:
    st.session_state["history"] = []
