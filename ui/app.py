"""The page's entry: `streamlit run ui/app.py`."""

import sys
from pathlib import Path

# Streamlit puts the script's own folder on the path; the package `ui` lies one above it.
sys.path.append(str(Path(__file__).resolve().parent.parent))

import streamlit as st

from ui import frame, login
from ui.work import Work

st.set_page_config(
    page_title="Sentiment: PyTorch beside ONNX",
    page_icon=":material/balance:",
    layout="wide",
)

settings = frame.settings()
login.required(settings)


@st.fragment(run_every=60)
def _still_here() -> None:
    """Work that was begun on one page goes on while its visitor looks at another."""
    for work in (st.session_state.get("load"), st.session_state.get("scoring")):
        if work is not None:
            (work if isinstance(work, Work) else work.run).watch()


_still_here()

st.navigation(
    [
        st.Page(
            "views/compare.py", title="Compare", icon=":material/compare_arrows:", default=True
        ),
        st.Page("views/latency.py", title="Latency", icon=":material/speed:"),
        st.Page("views/datasets.py", title="Datasets", icon=":material/table_view:"),
        st.Page("views/cluster.py", title="Cluster", icon=":material/hub:"),
    ],
    position="top",
).run()
