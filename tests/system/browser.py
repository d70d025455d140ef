"""Debian's Chromium without a window, and what a person does with the page."""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.system.running import needed
from tests.system.strokes import Stroke

WAIT_MS = 30_000
"""For what a person waits for; machines that do much else are slow."""
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
"""Chromium's own sandbox does not start for root."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; skips where it is not installed."""
    program = needed("chromium")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def context(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A window of its own, by default of 1280 × 860 pixels."""
    made = browser.new_context(viewport=options.pop("viewport", {"width": 1280, "height": 860}), **options)
    made.set_default_timeout(WAIT_MS)
    try:
        yield made
    finally:
        made.close()


class Complaints(list[str]):
    """What the browser complained of: errors of scripts, of its console, and requests to other hosts."""

    def __init__(self, page: Page, url: str) -> None:
        super().__init__()
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", lambda message: self.append(message.text) if message.type in ("error", "warning") else None)
        page.on("request", lambda one: None if one.url.startswith((url, "blob:", "data:")) else self.append(one.url))


def draw(page: Page, strokes: Sequence[Stroke], steps: int = 5) -> None:
    """Draws on the pad with the mouse."""
    expect(page.locator("#ink")).to_be_visible()
    box = page.locator("#ink").bounding_box()
    assert box
    for stroke in strokes:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=steps)
        page.mouse.up()


def answered(page: Page) -> None:
    """Waits until an answer is complete, with its neighbours."""
    expect(page.locator("#curl")).to_be_visible()
    expect(page.locator("#neighbors li").first).to_be_visible()


def give_file(page: Page, how: str, name: str, content: bytes) -> None:
    """Drops or pastes a file, as the browser tells the page of it."""
    page.evaluate(
        """([how, name, text]) => {
          const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], name));
          const event = how === "drop"
            ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
          document.body.dispatchEvent(event);
        }""",
        [how, name, base64.b64encode(content).decode()],
    )


def measured(page: Page, name: str) -> list[float]:
    """Milliseconds that the page has measured under this name."""
    found = page.evaluate("(name) => performance.getEntriesByName(name).map((one) => one.duration)", name)
    return [float(one) for one in found]


def axe_findings(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is now, one line a rule."""
    package = find_spec("axe_playwright_python")
    assert package
    assert package.origin
    (script,) = Path(package.origin).parent.rglob("axe.min.js")
    page.evaluate(script.read_text(encoding="utf-8") + "; 0")
    found = page.evaluate("async () => (await axe.run()).violations")
    return [f"{one['id']}: {json.dumps([node['html'][:200] for node in one['nodes']])}" for one in found]


def first_visit(window: BrowserContext, url: str) -> tuple[float, int]:
    """Kilobytes on the wire, heads included, and requests."""
    page = window.new_page()
    network = window.new_cdp_session(page)
    network.send("Network.enable")
    loaded: list[float] = []
    network.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
    page.goto(url)
    expect(page.locator("#ink")).to_be_visible()
    page.wait_for_load_state("networkidle")
    return sum(loaded) / 1000, len(loaded)
