"""Pictures of every page in use: `python -m ui.screenshots --url … --output docs/images`.

Needs `playwright` and a Chromium on the machine; it downloads no browser.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDE, PHONE = 1280, 390
IDLE = "[data-testid='stApp'][data-test-script-state='notRunning']"
PATIENCE_MS = 120_000
WATCHED_MS = 15_000
"""How long the picture of the cluster looks back."""
SAMPLE = """review,label
A charming and often affecting journey.,1
The plot is thin and the jokes are old.,0
I would see it again tomorrow.,1
"Two hours long, and it feels like four.",0
Not bad at all.,1
The sound was so low that we left.,0
"Funny, warm and over too soon.",1
It never decides what it wants to be.,0
Good enough for a rainy evening.,1
The best thing about it is the poster.,0
"""

Scheme = Literal["light", "dark"]
SIZES: tuple[tuple[int, Scheme, str], ...] = (
    (WIDE, "light", ""),
    (PHONE, "dark", "-phone-dark"),
)


def browser_path() -> str | None:
    """Find a Chromium that the machine has."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def browser() -> Iterator["Browser"]:
    """Start the machine's own Chromium, without a window."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("Pictures need playwright: pip install playwright")
    path = browser_path()
    if path is None:
        sys.exit(f"Pictures need a browser of the machine, one of {', '.join(BROWSERS)}.")
    # Chromium has no sandbox of its own for root, as containers run it.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield started
        finally:
            started.close()


def opened(browser: "Browser", url: str, width: int = WIDE, scheme: Scheme = "light") -> "Page":
    """Open an address, and wait until the page stands."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.locator("h1").wait_for()
    idle(page)
    return page


def idle(page: "Page") -> None:
    """Wait until the page's script has run and its charts are drawn."""
    page.locator(IDLE).wait_for()
    page.wait_for_function(
        "[...document.querySelectorAll('[data-testid=stVegaLiteChart]')]"
        ".every(chart => chart.querySelector('canvas, svg'))"
    )


def saved(page: "Page", path: Path) -> None:
    """Save the whole page, which scrolls within itself, as one picture."""
    page.mouse.move(0, 0)
    idle(page)
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 0)")
    height = page.locator("[data-testid=stMain]").evaluate("main => main.scrollHeight")
    bottom = page.locator("[data-testid=stMainBlockContainer] > *").evaluate_all(
        "parts => Math.max(...parts.map(part => part.getBoundingClientRect().bottom))"
    )
    width = page.viewport_size["width"] if page.viewport_size else WIDE
    page.set_viewport_size({"width": width, "height": int(min(height, bottom + 40))})
    idle(page)
    # Charts and tables draw themselves anew for the new size.
    page.wait_for_timeout(800)
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 0)")
    page.locator("[data-stale=true]").first.wait_for(state="detached")
    page.screenshot(path=path, animations="disabled")


def compare(page: "Page") -> None:
    page.get_by_role("button", name="Compare").last.wait_for()
    for text in ("The plot is thin, the jokes are old", "Not bad at all", "A charming journey"):
        page.get_by_label("Text", exact=True).fill(text)
        page.get_by_test_id("stBaseButton-primaryFormSubmit").click()
        page.wait_for_url(f"**/?text={text.split()[0]}*")
        idle(page)
    page.get_by_text("History").wait_for()


def latency(page: "Page") -> None:
    page.get_by_role("button", name="Measure").click()
    page.get_by_role("button", name="Download CSV").wait_for()


def datasets(page: "Page") -> None:
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "reviews.csv", "mimeType": "text/csv", "buffer": SAMPLE.encode()}
    )
    page.get_by_role("button", name="Score 10 rows").click()
    page.get_by_text("rows in").or_(page.get_by_text("does not score files yet")).first.wait_for()


def cluster(page: "Page") -> None:
    """Watch for a while how the service answers a measurement of the Latency page."""
    page.get_by_text("Seen at").or_(page.get_by_text("does not tell")).first.wait_for()
    measuring = page.context.new_page()
    measuring.set_default_timeout(PATIENCE_MS)
    measuring.goto(page.url.replace("/cluster", "/latency"))
    measuring.get_by_role("slider").focus()
    for _ in range(5):
        measuring.keyboard.press("ArrowRight")
    measuring.get_by_text("Both at once").click()
    measuring.get_by_label("Requests to each backend").fill("1000")
    measuring.get_by_label("Requests to each backend").press("Enter")
    idle(measuring)
    measuring.get_by_role("button", name="Measure").click()
    page.wait_for_timeout(WATCHED_MS)
    measuring.get_by_role("button", name="Cancel").or_(
        measuring.get_by_role("button", name="Download CSV")
    ).first.click()
    measuring.close()


PAGES: dict[str, Callable[["Page"], None]] = {
    "compare": compare,
    "latency": latency,
    "datasets": datasets,
    "cluster": cluster,
}


def take(url: str, output: Path, names: Iterable[str] = PAGES) -> None:
    """Use pages and save their pictures: wide, and on a phone in the dark."""
    output.mkdir(parents=True, exist_ok=True)
    with browser() as started:
        for name in names:
            for width, scheme, suffix in SIZES:
                address = url.rstrip("/") + ("/" if name == "compare" else f"/{name}")
                page = opened(started, address, width, scheme)
                PAGES[name](page)
                path = output / f"{name}{suffix}.png"
                saved(page, path)
                page.context.close()
                print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8501", help="the running page")
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES))
    arguments = parser.parse_args()
    take(arguments.url, arguments.output, arguments.pages)


if __name__ == "__main__":
    main()
