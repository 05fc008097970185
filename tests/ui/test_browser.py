"""The pages in use, in a real browser."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tests.ui.acting import APP
from tests.ui.browsing import answered, ask, needs_browser, opened
from ui import screenshots
from ui.screenshots import Scheme, idle

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_browser

PATHS = ("", "latency", "datasets", "cluster")


def test_a_text_is_typed_and_compared(browser: "Browser", page_url: str) -> None:
    with opened(browser, page_url) as page:
        ask(page, "A charming and often affecting journey")
        answered(page, "journey")
        for backend in range(2):
            page.get_by_text("Server time", exact=True).nth(backend).wait_for()
            page.get_by_text("Positive", exact=True).nth(backend).wait_for()
        page.get_by_role("heading", name="History").wait_for()


def test_the_keyboard_is_enough(browser: "Browser", page_url: str) -> None:
    with opened(browser, page_url) as page:
        text = page.get_by_label("Text", exact=True)
        for _ in range(40):
            page.keyboard.press("Tab")
            if text.evaluate("area => area === document.activeElement"):
                break
        page.keyboard.type("Dull from beginning to end")
        page.keyboard.press("Control+Enter")
        answered(page, "end")


def test_an_address_shows_a_colleague_the_same(browser: "Browser", page_url: str) -> None:
    from playwright.sync_api import expect

    with opened(browser, f"{page_url}/?text=A%20fine%20%26%20funny%20film") as page:
        answered(page, "film")
        # The page is drawn anew while the answers come in.
        expect(page.get_by_label("Text", exact=True)).to_have_value(
            "A fine & funny film", timeout=30_000
        )


def test_an_example_is_one_click(browser: "Browser", page_url: str) -> None:
    with opened(browser, page_url) as page:
        page.get_by_test_id("stButtonGroup").get_by_role("radio").first.click()
        page.get_by_text("From asking to having the last answer").wait_for()


def test_the_history_downloads(browser: "Browser", page_url: str) -> None:
    with opened(browser, page_url) as page:
        for text in ("One charming", "Two dull"):
            ask(page, text)
            answered(page, text)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CSV").click()
        read = pd.read_csv(download.value.path())
        assert read["text"].tolist() == ["One charming", "Two dull"]
        page.get_by_role("button", name="Clear").click()
        page.get_by_role("heading", name="History").wait_for(state="detached")


def test_a_measurement_runs_and_another_is_cancelled(browser: "Browser", page_url: str) -> None:
    with opened(browser, f"{page_url}/latency") as page:
        amount = page.get_by_label("Requests to each backend")
        amount.fill("20")
        amount.press("Enter")
        page.get_by_role("button", name="Measure").click()
        page.get_by_text("At the median").or_(page.get_by_text("No ratio")).first.wait_for()
        idle(page)
        amount.fill("1000")
        amount.press("Enter")
        page.get_by_role("button", name="Measure").click()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_text("Cancelled; what was measured").wait_for()


def test_a_file_goes_up_is_scored_and_comes_down(
    browser: "Browser", page_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text(screenshots.SAMPLE)
    with opened(browser, f"{page_url}/datasets") as page:
        page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
        page.get_by_role("button", name="Score 10 rows").click()
        done = page.get_by_role("button", name="Download the scored file")
        absent = page.get_by_text("does not score files yet")
        done.or_(absent).first.wait_for()
        if absent.count():
            pytest.skip("this service has no stream route")
        with page.expect_download() as download:
            done.click()
        assert download.value.suggested_filename == "reviews.scored.csv"
        read = pd.read_csv(download.value.path(), dtype=str)
        assert read["review"].tolist()[0] == "A charming and often affecting journey."
        assert read[["transformers_label", "onnx_label"]].notna().all(axis=None)


def test_the_cluster_page_follows_the_service(browser: "Browser", page_url: str) -> None:
    with opened(browser, f"{page_url}/cluster") as page:
        seen = page.get_by_text("Seen at")
        absent = page.get_by_text("does not tell about its replicas yet")
        seen.or_(absent).first.wait_for()
        if absent.count():
            pytest.skip("this service has no cluster route")
        before = seen.inner_text()
        page.wait_for_function("before => !document.body.innerText.includes(before)", arg=before)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_is_wide_enough(
    browser: "Browser", page_url: str, path: str, scheme: Scheme
) -> None:
    address = f"{page_url}/{path}" + ("" if path else "?text=A%20fine%20film")
    with opened(browser, address, screenshots.PHONE, scheme) as page:
        page.get_by_test_id("stMainBlockContainer").wait_for()
        sideways = page.get_by_test_id("stMain").evaluate("m => m.scrollWidth - m.clientWidth")
        assert sideways <= 0
        ground = page.get_by_test_id("stApp").evaluate("a => getComputedStyle(a).backgroundColor")
        assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 31)")


def test_pictures_are_taken_by_a_command(page_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ui.screenshots", "--url", page_url, "--pages", "compare"]
    done = subprocess.run([*command, "--output", str(tmp_path)], cwd=APP.parents[1], timeout=120)
    assert done.returncode == 0
    pictures = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(pictures) == {"compare.png", "compare-phone-dark.png"}
    assert min(pictures.values()) > 10_000
