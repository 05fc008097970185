"""Logging in, and a service that is ill, in a real browser."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ui.browsing import answered, ask, needs_browser, opened, page_of
from tests.ui.stand_in import Refusal, StandIn

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_browser


def test_people_log_in_with_their_own_account(
    browser: "Browser", healthy: StandIn, tmp_path: Path
) -> None:
    for package in ("authlib", "jwt", "cryptography"):
        pytest.importorskip(package, reason="logging in needs streamlit[auth] and PyJWT")
    from tests.ui.issuer import CLIENT, Issuer

    issuer = Issuer()
    with page_of(healthy.url, tmp_path, LOGIN="oidc") as url:
        secrets = tmp_path / ".streamlit" / "secrets.toml"
        secrets.parent.mkdir()
        secrets.write_text(
            f"""[auth]
redirect_uri = "{url}/oauth2callback"
cookie_secret = "a secret of this test alone"
client_id = "{CLIENT}"
client_secret = "client secret"
server_metadata_url = "{issuer.url}/.well-known/openid-configuration"
"""
        )
        with opened(browser, f"{url}/cluster") as page:
            page.get_by_text("These pages are for people who have logged in.").wait_for()
            assert page.get_by_text("Certificates").count() == 0
            page.get_by_role("button", name="Log in").click()
            page.get_by_role("heading", name="Compare").wait_for()
            page.get_by_text("ada@example.org").wait_for(state="attached")
    issuer.close()


def test_a_service_that_goes_away_and_comes_back(
    browser: "Browser", ill_url: str, ill: list[StandIn]
) -> None:
    with opened(browser, ill_url) as page:
        port = ill[-1].port
        ill[-1].close()
        ask(page, "A fine film")
        page.get_by_text("The service does not answer.").first.wait_for()
        page.reload()
        page.get_by_text("The service does not answer.").first.wait_for()
        ill.append(StandIn(port))
        page.get_by_label("Text", exact=True).wait_for()
        ask(page, "A fine film")
        answered(page, "film")


def test_a_quota_counts_down_and_lets_go_by_itself(
    browser: "Browser", ill_url: str, ill: list[StandIn]
) -> None:
    refusal = Refusal(
        429, {"title": "Too many", "detail": "60 texts a minute."}, {"Retry-After": "6"}
    )
    ill[-1].refuse.update({"/onnx": refusal, "/transformers": refusal})
    with opened(browser, ill_url) as page:
        ask(page, "A fine film")
        page.get_by_text("You can ask again in").wait_for()
        from playwright.sync_api import expect

        expect(page.get_by_test_id("stBaseButton-primaryFormSubmit")).to_be_disabled()
        page.get_by_text("You can ask again in").wait_for(state="detached")
        ill[-1].refuse.clear()
        ask(page, "A fine film")
        answered(page, "film")
