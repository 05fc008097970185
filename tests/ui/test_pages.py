"""What all pages have in common: what is served, wrong settings, logging in."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.acting import VIEWS, compare
from tests.ui.conftest import Open
from tests.ui.reading import read
from tests.ui.stand_in import Refusal, StandIn


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_opens(open_page: Open, view: str) -> None:
    app = open_page(view)
    assert app.title[0].value.lower() == view
    assert "bundled/small" in read(app)


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_shows_nothing_of_an_uncaught_error(
    open_page: Open, view: str, stand_in: StandIn
) -> None:
    stand_in.refuse["/info"] = Refusal(500, b"<html>Traceback</html>")
    assert "Traceback" not in read(open_page(view))


def test_a_backend_that_is_not_there_is_said_so(open_page: Open, stand_in: StandIn) -> None:
    stand_in.info["backends"]["onnx"] = None
    app = compare(open_page(), "A good day")
    words = read(app)
    assert "ONNX Runtime: not ready" in words
    assert "No ratio:" in words


def test_the_page_says_what_is_served(open_page: Open) -> None:
    lines = open_page().table[0].value[0].to_dict()
    assert lines["Licence"] == r"Apache\-2\.0"
    assert lines["Texts in a request"] == "256"


def test_an_info_this_page_does_not_understand(open_page: Open, stand_in: StandIn) -> None:
    stand_in.info["backends"] = "many"
    assert "an answer the page does not understand" in read(open_page())


def test_a_wrong_setting_is_named(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_UI_MAX_ROWS", "many")
    assert "SENTIMENT_UI_MAX_ROWS cannot be read" in read(open_page())


@pytest.fixture
def _login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_UI_LOGIN", "oidc")


@pytest.mark.usefixtures("_login")
def test_who_has_not_logged_in_sees_only_the_login(
    settings: object, stand_in: StandIn, logged: Callable[[dict[str, Any]], AppTest]
) -> None:
    app = logged({"is_logged_in": False})
    assert "people who have logged in" in read(app)
    assert [b.label for b in app.button] == ["Log in"]
    assert not stand_in.requests


@pytest.mark.usefixtures("_login")
def test_who_has_logged_in_sees_the_page(logged: Callable[[dict[str, Any]], AppTest]) -> None:
    app = logged({"is_logged_in": True, "email": "a@example.org"})
    assert app.title[0].value == "Compare"
    assert app.sidebar.caption[0].value == "a@example.org"


@pytest.mark.usefixtures("_login")
@pytest.mark.parametrize(
    ("email", "verified", "may"),
    [
        ("Ann@Example.com", True, True),
        ("x@EXAMPLE.org", True, True),
        ("x@example.org", False, False),
        ("x@example.org", "true", False),
        ("x@example.org", None, False),
        ("x@evil-example.org", True, False),
        ("x@example.org.evil.org", True, False),
        ("bob@example.com", True, False),
        (None, True, False),
    ],
)
def test_only_who_is_allowed_sees_the_page(
    logged: Callable[[dict[str, Any]], AppTest],
    monkeypatch: pytest.MonkeyPatch,
    stand_in: StandIn,
    email: str | None,
    verified: object,
    may: bool,
) -> None:
    monkeypatch.setenv("SENTIMENT_UI_ALLOWED", "ann@example.com,@example.org")
    app = logged({"is_logged_in": True, "email": email, "email_verified": verified})
    assert ("This account may not use the page." in read(app)) is not may
    assert bool(app.title) is may
    assert bool(stand_in.requests) is may
    assert "Log out" in [b.label for b in app.button]


@pytest.mark.usefixtures("_login")
def test_a_login_that_is_not_set_up_lets_nobody_in(
    logged: Callable[[dict[str, Any]], AppTest],
) -> None:
    app = logged({})
    assert "Login is asked for and not set up." in read(app)
    assert not app.text_area
