"""What a person reads on a page."""

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

KINDS = ("title", "subheader", "markdown", "caption", "error", "warning", "info", "success")


def read(app: AppTest) -> str:
    """All words of a page; a traceback on it fails the test that reads it."""
    assert not app.exception, app.exception[0].value
    words = [getattr(element, "value", "") for kind in KINDS for element in app.get(kind)]
    words += [f"{m.label}: {m.value}" for m in app.metric]
    return "\n".join(map(str, words)).replace("\\", "")


def button(app: AppTest, label: str) -> Button:
    return next(b for b in app.button if b.label == label)
