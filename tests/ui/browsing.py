"""The pages run by Streamlit, and a real browser to open them.

They are asked of a running service where SENTIMENT_UI_TEST_API_URL names one, else of the
stand-in; what a service does only when it is ill is asked of the stand-in alone.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ui.acting import APP
from tests.ui.stand_in import StandIn
from ui import screenshots
from ui.screenshots import Scheme, idle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

needs_browser = [
    pytest.mark.system,
    pytest.mark.skipif(screenshots.browser_path() is None, reason="no Chromium on this machine"),
]

LIMIT_MS = 20_000


@contextmanager
def page_of(api_url: str, folder: Path | None = None, **settings: str) -> Iterator[str]:
    """Run the page for an API at a port of the system's choice; give its address."""
    own = {f"SENTIMENT_UI_{name}": value for name, value in settings.items()}
    listen = ("--server.port", "0", "--server.address", "127.0.0.1")
    started = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(APP), *listen],
        env={**os.environ, "SENTIMENT_UI_API_URL": api_url, "PYTHONUNBUFFERED": "1", **own},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout is not None
        for line in started.stdout:
            if found := re.search(r"URL: (http\S+)", line):
                yield found[1]
                break
        else:
            pytest.fail("Streamlit did not start")
    finally:
        started.terminate()
        try:
            started.wait(60)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@pytest.fixture(scope="module")
def healthy() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.close()


@pytest.fixture(scope="module")
def page_url(healthy: StandIn) -> Iterator[str]:
    with page_of(os.environ.get("SENTIMENT_UI_TEST_API_URL") or healthy.url) as url:
        yield url


@pytest.fixture(scope="module")
def ill() -> Iterator[list[StandIn]]:
    """A service that tests may break; the last one is the one that runs."""
    servers = [StandIn()]
    yield servers
    servers[-1].close()


@pytest.fixture(scope="module")
def ill_url(ill: list[StandIn]) -> Iterator[str]:
    with page_of(ill[0].url) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with screenshots.browser() as started:
        yield started


@contextmanager
def opened(
    browser: "Browser", url: str, width: int = screenshots.WIDE, scheme: Scheme = "light"
) -> Iterator["Page"]:
    """Open an address; an error in the browser or a traceback on the page fails the test."""
    page = screenshots.opened(browser, url, width, scheme)
    page.set_default_timeout(LIMIT_MS)
    faults: list[object] = []
    page.on("pageerror", lambda fault: faults.append(fault))
    yield page
    assert not faults
    assert page.get_by_test_id("stException").count() == 0
    page.context.close()


def ask(page: "Page", text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_test_id("stBaseButton-primaryFormSubmit").click()


def answered(page: "Page", text: str) -> None:
    """Wait until the address, which follows the answer, has the text."""
    word = text.split()[-1]
    page.wait_for_url(re.compile(rf"\?text=.*{word}"))
    page.get_by_text("From asking to having the last answer").wait_for()
    idle(page)
