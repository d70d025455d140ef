"""Figures and pictures of the page: `python -m tests.reports.page`; `--pictures docs/` renews those in README.md.

Serves the committed bundle, and another one with `--colour models/NAME`, in a process of its own, and opens the page in
Chromium on the same machine. Figures are of that machine: a stroke's end to its bars holds the service's answer too.
"""

import argparse
import csv
import io
import json
import statistics
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.servers import running_service
from tests.system.browser import answered, axe_findings, chromium, context, draw, first_visit, measured
from tests.system.strokes import DIGITS, smooth

STROKES, LABELS, DRAWN = 100, 60, 60
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
QUALITY = 82
COLOURED = 1
"""Which of the labelled pictures of a second bundle is asked about."""
VIEWS = {"try": "#try?id=train-7", "map": "#map?class=4", "label": "#label"}
READY = {"try": "#neighbors li", "map": ".chosen .thumbs li, .legend button", "label": ".subject img"}


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def shown(page: Page, url: str, view: str, address: str) -> None:
    """Opens a view, and waits until its pictures are there."""
    page.goto("about:blank")
    page.goto(f"{url}/{address}")
    expect(page.locator(READY[view]).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)


def strokes(page: Page, url: str) -> list[float]:
    """Milliseconds from the end of each stroke to its bars."""
    found: list[float] = []
    page.goto(url)
    while len(found) < STROKES:
        for digit in DIGITS.values():
            draw(page, digit)
            answered(page)
            page.click("#clear")
        found += measured(page, "stroke to bars")
        page.evaluate("performance.clearMeasures()")
    return found


def labels(page: Page, url: str) -> list[float]:
    """Milliseconds from each key to the next picture."""
    shown(page, url, "label", VIEWS["label"])
    name = page.locator(".working .small").first
    for _ in range(LABELS):
        before = name.text_content() or ""
        page.keyboard.press("Enter")
        expect(name).not_to_have_text(before)
        page.wait_for_timeout(100)
    return measured(page, "key to picture")


def map_frames(page: Page, url: str) -> list[float]:
    """Milliseconds that drawing all points takes, while one zooms."""
    shown(page, url, "map", "#map")
    page.evaluate("performance.clearMeasures()")
    page.locator(".sheet canvas").hover()
    for number in range(DRAWN):
        page.mouse.wheel(0, -15 if number % 2 else 15)
        page.wait_for_timeout(40)
    return measured(page, "map drawn")


def findings(browser: Browser, url: str) -> int:
    """What axe-core finds in all views, light and dark, on a desk and on a phone."""
    total = 0
    for scheme in ("light", "dark"):
        for size in ({}, PHONE):
            with context(browser, color_scheme=scheme, reduced_motion="reduce", **size) as window:
                page = window.new_page()
                for view, address in VIEWS.items():
                    shown(page, url, view, address)
                    total += len(axe_findings(page))
    return total


def figures(browser: Browser, url: str) -> dict[str, float]:
    """What the table in README.md says."""
    with context(browser) as window:
        kilobytes, requests = first_visit(window, url)
    with context(browser) as window:
        page = window.new_page()
        ends, frames, keys = strokes(page, url), map_frames(page, url), labels(page, url)
    return {
        "stroke end to bars, ms, median": round(statistics.median(ends), 1),
        "stroke end to bars, ms, p95": round(p95(ends), 1),
        "strokes": len(ends),
        "first visit, kB": round(kilobytes, 1),
        "first visit, requests": requests,
        "key to next picture, ms, median": round(statistics.median(keys), 1),
        "key to next picture, ms, p95": round(p95(keys), 1),
        "labels": len(keys),
        "10,000 points drawn, ms, median": round(statistics.median(frames), 1),
        "10,000 points drawn, ms, p95": round(p95(frames), 1),
        "frames": len(frames),
        "axe findings": findings(browser, url),
    }


def labelled(url: str) -> list[str]:
    """Ids of the pictures that a person labelled."""
    with urllib.request.urlopen(f"{url}/index/labels.csv", timeout=30) as response:
        return [row[0] for row in csv.reader(response.read().decode().splitlines())][1:]


def keep(page: Page, file: Path, width: int) -> None:
    """The page as WebP, so many pixels wide."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS).save(
        file, quality=QUALITY
    )
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


def pictures(browser: Browser, url: str, colour_url: str | None, folder: Path) -> None:
    """Screenshots: a desk in the light and in the dark, and a phone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, options, width in (
        ("light", {"viewport": {"width": 1280, "height": 900}, "device_scale_factor": 2}, 1280),
        ("dark", {"viewport": {"width": 1280, "height": 900}, "device_scale_factor": 2, "color_scheme": "dark"}, 1280),
        ("phone", PHONE, 390),
    ):
        with context(browser, **options) as window:
            page = window.new_page()
            page.goto(url)
            draw(page, [smooth(stroke) for stroke in DIGITS["5"]], steps=1)
            answered(page)
            page.wait_for_timeout(500)
            keep(page, folder / f"try-{name}.webp", width)
            for view in ("map", "label"):
                shown(page, url, view, VIEWS[view])
                keep(page, folder / f"{view}-{name}.webp", width)
            if colour_url and name == "light":
                shown(page, colour_url, "map", "#map?class=frog")
                keep(page, folder / "map-colour.webp", width)
                shown(page, colour_url, "try", f"#try?id={quote(labelled(colour_url)[COLOURED])}")
                keep(page, folder / "try-colour.webp", width)


@contextmanager
def served(folder: str, *arguments: str) -> Iterator[str]:
    with running_service("--index", f"{folder}/{{name}}.sqlite", *arguments) as service:
        yield service.url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, help="folder for screenshots")
    parser.add_argument("--colour", type=Path, help="a second bundle, for screenshots")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(folder) as url, chromium() as browser:
        if not given.pictures:
            print(json.dumps(figures(browser, url)))
        elif given.colour:
            with served(folder, "--model-dir", str(given.colour)) as colour_url:
                pictures(browser, url, colour_url, given.pictures)
        else:
            pictures(browser, url, None, given.pictures)


if __name__ == "__main__":
    main()
