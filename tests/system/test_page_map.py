"""The page's view "Map": select, search, and from a point to its neighbours and to a query."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.system.browser import Complaints, context, measured


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    with context(browser) as window:
        opened = window.new_page()
        complaints = Complaints(opened, url)
        opened.goto(f"{url}/#map")
        expect(told(opened)).to_contain_text("10,000 pictures.")
        yield opened
        assert not complaints


def told(page: Page) -> Locator:
    return page.locator(".chosen .progress")


def selected(page: Page) -> int:
    """How many pictures are selected, as the page says."""
    expect(page.locator(".chosen .progress")).to_have_text(re.compile("^[0-9,]+ pictures? selected"))
    return int((page.locator(".chosen .progress").text_content() or "").split()[0].replace(",", ""))


def middle(page: Page) -> tuple[float, float, float]:
    """Of the map, and its shorter side, CSS pixels."""
    box = page.locator(".sheet canvas").bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, min(box["width"], box["height"])


def test_from_a_point_to_its_neighbours_to_a_query(page: Page) -> None:
    place = page.evaluate("""async () => {
      const found = await (await fetch("index/map")).json();
      const i = found.ids.indexOf("train-7");
      return [found.x[i], found.y[i]];
    }""")
    x, y, side = middle(page)
    scale = side / 2 * float(page.evaluate("async () => (await import('/assets/plot.js')).MARGIN"))
    page.mouse.click(x + place[0] * scale, y - place[1] * scale)
    expect(page.locator(".chosen .thumbs li")).to_have_count(24)
    assert "like=train-" in page.url
    first = page.locator(".chosen .thumbs a").first
    label = first.locator(".tag").text_content()
    first.click()
    expect(page.locator("#glyph")).to_have_text(label or "")
    assert "#try?id=train-" in page.url
    page.go_back()
    expect(page.locator(".chosen .thumbs li")).to_have_count(24)


def test_a_box_selects_and_the_address_keeps_it(page: Page, browser: Browser) -> None:
    x, y, side = middle(page)
    page.keyboard.down("Shift")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + side / 2, y - side / 2, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    count = selected(page)
    assert 100 < count < 6000
    expect(page.locator(".chosen .thumbs li")).to_have_count(48)
    with context(browser) as other:
        again = other.new_page()
        again.goto(page.url)
        assert selected(again) == count


def test_class_and_search_narrow_the_selection(page: Page) -> None:
    page.get_by_role("button", name="7", exact=True).click()
    sevens = selected(page)
    assert 900 < sevens < 1200
    page.get_by_role("searchbox").fill("train-12")
    expect(page.locator(".chosen .progress")).not_to_have_text(re.compile(f"^{sevens:,} "))
    assert 0 < selected(page) < 30
    expect(page.locator(".chosen .thumbs .tag").first).to_have_text("7")
    page.get_by_role("searchbox").fill("no such name")
    expect(page.locator(".chosen .progress")).to_have_text("Nothing is like that.")
    page.get_by_role("button", name="Select none").click()
    expect(page.locator(".chosen .progress")).to_contain_text("10,000 pictures.")


def test_keys_and_buttons_move_the_map(page: Page) -> None:
    page.locator(".sheet canvas").focus()
    for key in ("+", "+", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile(r"at=-0\.\d+%2C0\.000%2C1\.960"))
    page.get_by_role("button", name="Show all").click()
    expect(page).to_have_url(re.compile(r"#map$"))
    x, y, _ = middle(page)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    expect(page).to_have_url(re.compile("at="))
    assert len(measured(page, "map drawn")) > 3
