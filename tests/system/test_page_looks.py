"""The page for every eye: assistive technology, phones, the dark, no motion; and how much a first visit loads."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import ROOT
from tests.system.browser import answered, axe_findings, context, first_visit

MAX_FIRST_BYTES, MAX_FIRST_REQUESTS = 100_000, 15
READY = {"try": "#neighbors li", "map": ".chosen .thumbs li", "label": ".subject img"}
"""View → what is there once it shows something."""
ADDRESS = {"try": "try?id=train-7", "map": "map?class=3", "label": "label"}
LOADED_AGAIN = """performance.getEntriesByType("resource")
  .filter((one) => one.name.includes("/assets/") && one.transferSize > 2000).map((one) => one.name)"""
"""Files whose content came once more, and not 304 alone."""
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def opened(window: Any, url: str, view: str) -> Page:
    page: Page = window.new_page()
    page.goto(f"{url}/#{ADDRESS[view]}")
    expect(page.locator(READY[view]).first).to_be_visible()
    return page


@pytest.mark.parametrize("view", READY)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, url: str, view: str, scheme: str) -> None:
    with context(browser, color_scheme=scheme, reduced_motion="reduce") as window:
        assert axe_findings(opened(window, url, view)) == []
    with context(browser, color_scheme=scheme, reduced_motion="reduce", **PHONE) as window:
        assert axe_findings(opened(window, url, view)) == []


@pytest.mark.parametrize("view", READY)
def test_nothing_is_wider_than_a_phone(browser: Browser, url: str, view: str) -> None:
    with context(browser, **PHONE) as window:
        page = opened(window, url, view)
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_dark_is_dark_and_motion_can_be_off(browser: Browser, url: str) -> None:
    with context(browser, color_scheme="dark", reduced_motion="reduce") as window:
        page = opened(window, url, "try")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 20, 18)"
        assert page.evaluate("getComputedStyle(document.querySelector('.fill')).transitionDuration") == "0s"
        assert page.evaluate("getComputedStyle(document.querySelector('#try')).animationName") == "none"


def test_every_control_is_reached_with_the_keyboard(browser: Browser, url: str) -> None:
    with context(browser) as window:
        page = opened(window, url, "try")
        reached = []
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        assert {"Try", "Map", "Label", "API", "clear", "choose", "random", "copy"} <= set(reached)


def test_a_first_visit_loads_little(browser: Browser, url: str) -> None:
    with context(browser) as window:
        kilobytes, requests = first_visit(window, url)
        print(f"first visit: {kilobytes:.1f} kB in {requests} requests")
        assert 1000 * kilobytes <= MAX_FIRST_BYTES
        assert requests <= MAX_FIRST_REQUESTS


def test_a_second_visit_asks_and_loads_nothing_again(browser: Browser, url: str) -> None:
    with context(browser) as window:
        page = window.new_page()
        page.goto(url)
        expect(page.locator("#ink")).to_be_visible()
        statuses: list[int] = []
        page.on("response", lambda one: statuses.append(one.status) if "/assets/" in one.url else None)
        page.reload()
        page.set_input_files("#file", ROOT / "examples" / "7.png")
        answered(page)
        assert set(statuses) <= {200, 304}
        assert page.evaluate(LOADED_AGAIN) == []
