"""The page's view "Label": with keys alone, from pictures to a table of labels, and to a model that learnt from it."""

import csv
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.bundles.building import SPEC, write_bundle
from tests.conftest import ROOT
from tests.servers import running_service
from tests.system.browser import Complaints, context, give_file, measured

TRAINER = ROOT / ".venv" / "dev" / "bin" / "python"
TINY = (
    "--encoder", "none", "--size", "16", "--pretrain.images", "300", "--student.images", "300", "--student.epochs", "1",
    "--student.most-epochs", "2", "--widths", "8", "16", "16",
)  # fmt: skip
"""A training of some seconds, whose model is worth nothing."""
COLOURS = ("red", "green", "blue")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with running_service("--index", str(tmp_path / "items.sqlite")) as service:
        yield service.url


def opened(browser_context: Any, url: str, view: str = "label") -> Page:
    page: Page = browser_context.new_page()
    page.goto(f"{url}/#{view}")
    return page


def labels_of(url: str) -> dict[str, str]:
    """labels.csv: path → label."""
    with urllib.request.urlopen(f"{url}/index/labels.csv", timeout=10) as response:
        rows = list(csv.reader(response.read().decode().splitlines()))
    assert rows[0] == ["path", "label"]
    return {row[0]: row[1] for row in rows[1:]}


def shown(page: Page) -> str:
    """Id of the picture that is to be labelled."""
    expect(page.locator(".subject img")).to_be_visible()
    return page.locator(".working .small").first.text_content() or ""


def press(page: Page, key: str) -> str:
    """Answers the picture, waits for the next one, and gives the id of the one that was answered."""
    before = shown(page)
    page.keyboard.press(key)
    expect(page.locator(".working .small").first).not_to_have_text(before)
    return before


def test_ten_pictures_are_labelled_with_keys(browser: Browser, url: str) -> None:
    before = labels_of(url)
    with context(browser) as window:
        page = opened(window, url)
        complaints = Complaints(page, url)
        answers = {press(page, key): key for key in "0123456789"}
        assert len(answers) == 10
        new = labels_of(url)
        assert {name: label for name, label in new.items() if name not in before} == answers
        expect(page.locator(".done li")).to_have_count(10)
        expect(page.locator(".commands")).to_contain_text("make train-export DATA=photos/ NAME=photos")
        assert len(measured(page, "key to picture")) == 10
        assert not complaints


def test_the_predicted_label_is_chosen_by_enter(browser: Browser, url: str) -> None:
    with context(browser) as window:
        page = opened(window, url)
        shown(page)
        guess = page.locator(".classes .guess .name").text_content()
        name = press(page, "Enter")
        assert labels_of(url)[name] == guess


def test_undo_skip_and_not_sure(browser: Browser, url: str) -> None:
    before = labels_of(url)
    with context(browser) as window:
        page = opened(window, url)
        name = press(page, "5")
        assert labels_of(url)[name] == "5"
        press(page, "Backspace")
        assert shown(page) == name
        assert labels_of(url) == before
        skipped, unsure = press(page, "Space"), press(page, "?")
        press(page, "Backspace")
        press(page, "Backspace")
        assert shown(page) == skipped == name
        assert labels_of(url) == before
        assert unsure != skipped


def test_a_new_class_at_any_time(browser: Browser, url: str) -> None:
    name = '<img src=x onerror="alert(1)">, "and" more'
    with context(browser) as window:
        page = opened(window, url)
        complaints = Complaints(page, url)
        own_id = shown(page)
        page.keyboard.press("+")
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        expect(page.locator(".classes button").last.locator(".name")).to_have_text(name)
        assert labels_of(url)[own_id] == name
        page.reload()
        expect(page.locator(".classes button").last.locator(".name")).to_have_text(name)
        assert not complaints


def test_labels_that_are_contradicted_come_again(browser: Browser, url: str) -> None:
    body = b'{"label": "0"}'
    for name in ("train-0", "train-1"):  # a 5 and a 0
        request = urllib.request.Request(
            f"{url}/index/items/{name}", body, {"Content-Type": "application/json"}, method="PATCH"
        )
        urllib.request.urlopen(request, timeout=10).close()
    with context(browser) as window:
        page = opened(window, url, "label?look=again")
        shown(page)
        seen = {}
        for _ in range(12):
            seen[shown(page)] = page.locator(".answers .progress").text_content() or ""
            press(page, "Space")
        assert seen["train-0"] == "Labelled 0, but like 5."
        assert "train-1" not in seen


def test_from_pictures_without_labels_to_a_new_model(browser: Browser, tmp_path: Path) -> None:
    """A new user's way: add pictures, name classes, label ten, export, train, serve."""
    if not TRAINER.exists():
        pytest.skip("training is not installed: make .venv/dev/.ready")
    first = write_bundle(tmp_path / "first", (), SPEC)
    files = colour_pictures(tmp_path / "mine", 30)
    index = str(tmp_path / "items.sqlite")
    with running_service("--model-dir", str(first), "--index", index) as service, context(browser) as window:
        page = opened(window, service.url)
        shown(page)
        page.set_input_files("#add", files[1:])
        expect(page.locator(".adding [role=status]")).to_have_text("29 of 29 pictures added.", timeout=60_000)
        give_file(page, "drop", files[0].name, files[0].read_bytes())
        expect(page.locator(".adding [role=status]")).to_have_text("1 of 1 picture added.")
        page.reload()
        label_by_colour(page, 10)
        told = labels_of(service.url)
        assert len(told) == 10
        expect(page.locator(".commands")).to_contain_text("serving.index export photos/")
    exported = tmp_path / "photos"
    run(sys.executable, "-m", "serving.index", "export", str(exported), "--index", index, "--model-dir", str(first))
    places = ("--models", str(tmp_path / "models"), "--cache", str(tmp_path / "cache"))
    run(str(TRAINER), "-m", "training.own", "--data", str(exported), "--name", "mine", *TINY, *places)
    new = str(tmp_path / "models" / "mine")
    with running_service("--model-dir", new, "--index", index) as service, context(browser) as window:
        page = opened(window, service.url, "try")
        expect(page.locator("#about")).to_contain_text("The model mine tells 3 classes apart")
        page.set_input_files("#file", files[0])
        expect(page.locator("#bars li")).to_have_count(3)
        expect(page.locator("#said")).not_to_be_empty()


def colour_pictures(folder: Path, count: int) -> list[Path]:
    """Noisy pictures, red, green and blue in turn."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    files = [folder / f"{number:02}.png" for number in range(count)]
    for number, file in enumerate(files):
        pixels = rng.integers(0, 60, (24, 24, 3))
        pixels[..., number % 3] += 170
        Image.fromarray(pixels.astype(np.uint8)).save(file)
    return files


def label_by_colour(page: Page, count: int) -> None:
    """Types each class once and then presses its key, looking at the picture as a person does; others are skipped."""
    names: list[str] = []
    labelled = 0
    while labelled < count:
        own_id = shown(page)
        if not own_id[:2].isdigit():
            press(page, "Space")  # one that came with the model
            continue
        name = COLOURS[int(own_id[:2]) % 3]
        if name in names:
            press(page, str(names.index(name) + 1))
        else:
            names.append(name)
            page.keyboard.press("+")
            page.keyboard.type(name)
            press(page, "Enter")
        labelled += 1


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
