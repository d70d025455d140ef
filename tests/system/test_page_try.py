"""The page's view "Try", as a person uses it: in Chromium, against the service on the committed bundle."""

import io
import shlex
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.conftest import ROOT
from tests.system.browser import Complaints, answered, context, draw, give_file
from tests.system.strokes import DIGITS, NO_DIGIT


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    with context(browser) as window:
        opened = window.new_page()
        complaints = Complaints(opened, url)
        opened.goto(url)
        expect(opened.locator("#ink")).to_be_visible()
        yield opened
        assert not complaints


def two_digits() -> bytes:
    """A picture of a 2 beside a 7."""
    parts = [np.asarray(Image.open(ROOT / "examples" / f"{digit}.png")) for digit in (2, 7)]
    file = io.BytesIO()
    Image.fromarray(np.concatenate(parts, axis=1).repeat(6, 0).repeat(6, 1)).save(file, "PNG")
    return file.getvalue()


def test_a_7_drawn_with_the_mouse_is_a_7(page: Page) -> None:
    draw(page, DIGITS["7"])
    answered(page)
    expect(page.locator("#glyph")).to_have_text("7")
    expect(page.locator("#bars .best .name")).to_have_text("7")
    expect(page.locator("#said")).to_contain_text("7: ")
    assert (page.get_attribute("#seen", "src") or "").startswith("data:image/png;base64,")
    expect(page.locator("#neighbors li")).to_have_count(12)
    expect(page.locator("#timing")).to_contain_text(" ms")
    assert (
        page.locator("#neighbors img").first.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 28
    )


@pytest.mark.parametrize("digit", DIGITS)
def test_each_digit(page: Page, digit: str) -> None:
    draw(page, DIGITS[digit])
    answered(page)
    expect(page.locator("#glyph")).to_have_text(digit)


def test_bars_move_while_one_draws(page: Page) -> None:
    box = page.locator("#ink").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=8)
    expect(page.locator("#bars .best .name")).to_have_text("1")
    page.mouse.up()


def test_what_is_no_digit_is_said_plainly(page: Page) -> None:
    draw(page, NO_DIGIT)
    answered(page)
    expect(page.locator("#glyph")).to_have_text("None of them")
    expect(page.locator("#sure")).to_contain_text("If it had to be one")
    expect(page.locator("#bars .best")).to_have_count(0)


STAYS = """() => {
  const now = location.hash + document.getElementById("said").textContent;
  const stays = now === window.before;
  window.before = now;
  return stays;
}"""
"""Whether neither address nor answer have changed since the last look."""


def test_the_address_is_the_drawing(page: Page, browser: Browser) -> None:
    draw(page, DIGITS["4"])
    answered(page)  # to its first stroke, perhaps
    page.wait_for_function(STAYS, polling=1000)
    said = page.locator("#said").text_content()
    with context(browser) as other:
        again = other.new_page()
        again.goto(page.url)
        answered(again)
        assert again.locator("#said").text_content() == said


def test_the_line_for_a_shell_is_exactly_this_request(page: Page) -> None:
    draw(page, DIGITS["3"])
    answered(page)
    line = page.locator("#command").text_content() or ""
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert '"label":"3"' in done.stdout
    assert shlex.split(line)[-1].startswith(page.url.split("/#")[0])


def test_undo_and_clear(page: Page) -> None:
    draw(page, DIGITS["4"])
    answered(page)
    page.click("#undo")
    expect(page.locator("#said")).not_to_contain_text("4: ")
    page.click("#clear")
    expect(page.locator("#hint")).to_be_visible()
    expect(page.locator("#neighbors li")).to_have_count(0)
    assert page.url.endswith("#try")


@pytest.mark.parametrize("how", ["drop", "paste", "choose"])
def test_a_file_comes_in_by_every_way(page: Page, how: str) -> None:
    file = ROOT / "examples" / "7.png"
    if how == "choose":
        page.set_input_files("#file", file)
    else:
        give_file(page, how, file.name, file.read_bytes())
    answered(page)
    expect(page.locator("#glyph")).to_have_text("7")
    expect(page.locator("#shown")).to_be_visible()
    expect(page.locator("#command")).to_contain_text("@7.png")
    page.get_by_role("button", name="Draw again").click()
    expect(page.locator("#ink")).to_be_visible()


def test_several_digits_are_told(page: Page) -> None:
    page.set_input_files("#file", {"name": "both.png", "mimeType": "image/png", "buffer": two_digits()})
    answered(page)
    expect(page.locator("#sure")).to_contain_text("more than one")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"no picture", "no picture"), (two_digits()[:300], "damaged"), (b"\x89PNG" + b"x" * 10_000_001, "too large")],
    ids=["no picture", "damaged", "too large"],
)
def test_what_is_wrong_with_a_file_is_understood(browser: Browser, url: str, content: bytes, sentence: str) -> None:
    with context(browser) as window:
        page = window.new_page()
        page.goto(url)
        page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": content})
        expect(page.locator("#trouble")).to_contain_text(sentence)


def test_a_neighbour_becomes_the_query(page: Page) -> None:
    draw(page, DIGITS["2"])
    answered(page)
    page.locator("#neighbors button").first.click()
    expect(page.locator("#shown")).to_be_visible()
    expect(page.locator("#said")).to_contain_text("2: ")
    assert "#try?id=train-" in page.url
    page.reload()
    expect(page.locator("#glyph")).to_have_text("2")
    page.go_back()
    expect(page.locator("#ink")).to_be_visible()
    expect(page.locator("#glyph")).to_have_text("2")


def test_a_picture_of_the_index_without_any_of_ones_own(page: Page) -> None:
    page.get_by_role("button", name="Random").press("Enter")
    answered(page)
    expect(page.locator("#shown")).to_be_visible()


def test_a_finger_draws(browser: Browser, url: str) -> None:
    with context(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as window:
        page = window.new_page()
        page.goto(url)
        box = page.locator("#ink").bounding_box()
        assert box
        touch = window.new_cdp_session(page)
        for number, (x, y) in enumerate(DIGITS["1"][0]):
            point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            touch.send(
                "Input.dispatchTouchEvent", {"type": "touchMove" if number else "touchStart", "touchPoints": [point]}
            )
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        answered(page)
        expect(page.locator("#glyph")).to_have_text("1")


def test_the_openapi_page_works_under_its_policy(browser: Browser, url: str) -> None:
    with context(browser) as window:
        page = window.new_page()
        complaints = Complaints(page, url)
        page.goto(f"{url}/docs")
        expect(page.get_by_text("/predict/batch").first).to_be_visible()
        assert not complaints
