"""The page while something is wrong: what a person reads must be understood."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.bundles.building import write_bundle
from tests.conftest import ROOT
from tests.servers import running_service
from tests.system.browser import Complaints, answered, context, draw
from tests.system.strokes import DIGITS

KEY = "0123456789abcdef"
HOSTILE = ('<img src=x onerror="document.title=1">', "</button><script>alert(1)</script>", "javascript:alert(1)")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with context(browser) as window:
        yield window.new_page()


def index(folder: Path) -> tuple[str, str]:
    return "--index", str(folder / "items.sqlite")


def test_a_busy_service_is_asked_again(page: Page, tmp_path: Path) -> None:
    refused = threading.Event()

    def refuse_once(route: Route) -> None:
        if refused.is_set():
            route.continue_()
            return
        refused.set()
        route.fulfill(status=503, headers={"Retry-After": "1"}, content_type="application/problem+json", body="{}")

    with running_service(*index(tmp_path)) as service:
        page.goto(service.url)
        page.route("**/predict*", refuse_once)
        page.set_input_files("#file", ROOT / "examples" / "7.png")
        expect(page.locator("#trouble")).to_have_text("The service is busy. Trying again …")
        answered(page)
        expect(page.locator("#glyph")).to_have_text("7")
        expect(page.locator("#trouble")).to_be_hidden()


def test_a_service_that_is_gone(page: Page, tmp_path: Path) -> None:
    with running_service(*index(tmp_path)) as service:
        page.goto(service.url)
        expect(page.locator("#ink")).to_be_visible()
    draw(page, DIGITS["7"])
    expect(page.locator("#trouble")).to_have_text("The service does not answer. Is it still running?")


def test_the_key_is_asked_for_and_kept(page: Page, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"alice {KEY}\n")
    with running_service("--api-keys-file", str(keys), *index(tmp_path)) as service:
        page.goto(service.url)
        expect(page.get_by_role("dialog")).to_contain_text("This service asks for a key")
        page.get_by_label("Key", exact=True).fill("0123456789abcdee")
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("dialog")).to_contain_text("none of this service's")
        page.get_by_label("Key", exact=True).fill(KEY)
        page.keyboard.press("Enter")
        draw(page, DIGITS["7"])
        answered(page)
        expect(page.locator("#command")).to_contain_text('-H "X-API-Key: $KEY"')
        assert KEY not in page.content()
        image = page.locator("#neighbors img").first
        expect(image).to_have_attribute("src", re.compile("^blob:"))  # an image element sends no key
        assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 28
        page.goto(f"{service.url}/#label")
        page.reload()
        expect(page.locator(".subject img")).to_be_visible()


def test_whoever_has_no_key_reads_why_there_is_nothing(page: Page, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"alice {KEY}\n")
    with running_service("--api-keys-file", str(keys), *index(tmp_path)) as service:
        page.goto(service.url)
        page.get_by_role("button", name="Not now").click()
        expect(page.locator("#trouble")).to_have_text("The service asks for a key.")


def test_where_nothing_may_be_written_labelling_is_off(page: Page, tmp_path: Path) -> None:
    with running_service("--host", "0.0.0.0", *index(tmp_path)) as service:  # others can reach it, and it has no keys
        page.goto(f"http://127.0.0.1:{service.address()[1]}/#label")
        expect(page.locator("#trouble")).to_contain_text("Nothing is stored here")
        expect(page.locator(".subject img")).to_be_visible()
        expect(page.locator(".classes")).to_be_hidden()
        expect(page.locator(".adding")).to_be_hidden()
        page.keyboard.press("5")
        expect(page.locator(".done li")).to_have_count(0)


def test_names_are_text_in_every_view(page: Page, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "colours", HOSTILE)
    with running_service("--model-dir", str(bundle), *index(tmp_path)) as service:
        complaints = Complaints(page, service.url)
        page.goto(service.url)
        page.get_by_role("button", name="Random").click()
        answered(page)
        expect(page.locator("#bars .name").first).to_have_text(HOSTILE[0])
        page.goto(f"{service.url}/#map")
        expect(page.locator(".legend")).to_contain_text(HOSTILE[1])
        page.goto(f"{service.url}/#label")
        expect(page.locator(".classes")).to_contain_text(HOSTILE[0])
        assert page.locator("main img[src='x'], main script").count() == 0
        assert page.title() == "fewlabel: label"
        assert not complaints


def test_a_model_without_classes_finds_what_is_alike(page: Page, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "unlabelled", ())
    with running_service("--model-dir", str(bundle), *index(tmp_path)) as service:
        complaints = Complaints(page, service.url)
        page.goto(service.url)
        expect(page.locator("#about")).to_contain_text("has seen no labels yet")
        page.set_input_files("#file", ROOT / "examples" / "7.png")
        answered(page)
        expect(page.locator("#neighbors li")).to_have_count(4)
        expect(page.locator("#bars")).to_be_hidden()
        assert not complaints
