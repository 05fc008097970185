from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.acting import APP
from tests.ui.browsing import browser as browser
from tests.ui.browsing import healthy as healthy
from tests.ui.browsing import ill as ill
from tests.ui.browsing import ill_url as ill_url
from tests.ui.browsing import page_url as page_url
from tests.ui.stand_in import StandIn
from ui.client import Client
from ui.settings import Settings


class Open(Protocol):
    def __call__(self, view: str | None = None, **query: str) -> AppTest: ...


@pytest.fixture(autouse=True, scope="session")
def _no_component_search() -> Iterator[None]:
    """AppTest looks through all installed packages for components each time; there are none."""
    with pytest.MonkeyPatch.context() as patch:
        scanner = "streamlit.components.v2.manifest_scanner.scan_component_manifests"
        patch.setattr(scanner, lambda *_: [], raising=False)
        yield


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.close()


@pytest.fixture
def settings(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings as a page reads them: from the environment."""
    monkeypatch.setenv("SENTIMENT_UI_API_URL", stand_in.url)
    monkeypatch.setenv("SENTIMENT_UI_CONNECT_TIMEOUT_S", "5")
    monkeypatch.setenv("SENTIMENT_UI_TIMEOUT_S", "10")
    return Settings()


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    made = Client(settings)
    yield made
    made.close()


@pytest.fixture
def open_page(settings: Settings) -> Open:
    """Open the app as a browser does; `view` names a page other than the first."""

    def opened(view: str | None = None, **query: str) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=30)
        app.query_params.update(query)
        app.run()
        if view:
            app.switch_page(f"views/{view}.py").run()
        return app

    return opened


@pytest.fixture
def logged(settings: Settings) -> Callable[[dict[str, Any]], AppTest]:
    """Open the app as somebody whom Streamlit knows, or does not know."""

    def opened(user: dict[str, Any]) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=30)
        app.user = user
        return app.run()

    return opened
