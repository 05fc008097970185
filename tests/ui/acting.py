"""What a person does on a page."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.ui.reading import button

APP = Path(__file__).resolve().parents[2] / "ui" / "app.py"
VIEWS = ("compare", "latency", "datasets", "cluster")
FILE = b"review,label\nA good day,1\nA dull day,0\nA fine day,0\n"


def ended(app: AppTest, key: str) -> AppTest:
    """Wait for a page's background work, then redraw as the page does by itself."""
    work = app.session_state[key]
    assert getattr(work, "run", work).join(20)
    return app.run()


def compare(app: AppTest, text: str) -> AppTest:
    app.text_area(key="text").set_value(text)
    return button(app, "Compare").click().run()


def upload(app: AppTest, content: bytes = FILE, name: str = "reviews.csv") -> AppTest:
    return app.file_uploader(key="file").set_value((name, content, "text/csv")).run()


def start(app: AppTest) -> AppTest:
    return next(b for b in app.button if b.label.startswith("Score ")).click().run()
