"""The whole check: folders with something planted in them, what is told of it, and the page."""

import json
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import messy
from training.check.checks import check
from training.check.copies import THUMBNAIL
from training.check.page import write
from training.check.report import Report
from training.data.collection import collect
from training.data.scan import prepared, scan


def checked(root: Path, cache: Path) -> Report:
    collection = collect(root)
    infos = scan(collection, cache, [THUMBNAIL])
    (thumbnails,) = prepared(collection, infos, [THUMBNAIL], cache)
    return check(collection, infos, thumbnails, cache)


def told(report: Report) -> Mapping[str, str]:
    """Level and title → text."""
    return {f"{one.level}: {one.title}": one.text for one in report.findings}


def planted(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def pictures(folder: str, count: int, form: str = "JPEG", kind: int = 0, size: int = 48) -> dict[str, bytes]:
    random = np.random.default_rng(len(folder) + kind)
    images = [messy.good(kind, random).resize((size, size)) for _ in range(count)]
    return {f"{folder}/{number:03}.{form.lower()}": messy.encoded(image, form) for number, image in enumerate(images)}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of a folder in which everything is wrong."""
    root = tmp_path_factory.mktemp("check") / "photos <b>"
    files = pictures("train/cat", 30) | pictures("train/dog", 30, kind=1) | pictures("test/cat", 4, kind=2)
    files |= pictures("train/owl", 40, "PNG", kind=3) | pictures("train/<script>", 1, kind=4)
    files |= pictures("test/elk", 2, kind=5)
    files["train/dog/copy.jpg"] = files["train/cat/000.jpeg"]
    files["test/cat/copy.jpg"] = files["train/cat/001.jpeg"]
    files["train/cat/copy.jpg"] = files["train/cat/002.jpeg"]
    files["train/cat/cut.jpg"] = files["train/cat/003.jpeg"][:300]
    files["train/cat/white.png"] = messy.encoded(Image.new("RGB", (9, 9), "white"), "PNG")
    files["train/cat/notes.HEIC"] = b"..."
    files["train/Cat/000.jpg"] = pictures("x", 1, kind=6)["x/000.jpeg"]
    files["train/.git/x"] = b""
    return checked(planted(root, files), tmp_path_factory.mktemp("cache"))


def test_everything_planted_is_told_in_order_of_weight(report: Report) -> None:
    texts = told(report)
    assert list(texts) == [
        "warning: One picture, two labels",
        "warning: Test pictures that are trained on",
        "warning: The format gives labels away",
        "warning: Files that cannot be read",
        "warning: Classes that cannot be learnt",
        "warning: Classes of a single label",
        "warning: Files and labels",
        "note: Pictures that are there twice",
        "note: Classes that are not tested",
        "note: Classes of unlike size",
        "note: How it is read",
        "note: Pictures of one shade",
        "note: Tiny pictures",
    ]
    assert texts["warning: One picture, two labels"] == (
        "1 picture with copies under other labels, equal pixel by pixel; "
        "first train/cat/000.jpeg (cat) and train/dog/copy.jpg (dog)."
    )
    assert texts["warning: Test pictures that are trained on"] == (
        "1 test picture (14.3%) with a copy among those trained on, in 1 group, equal pixel by pixel; "
        "first test/cat/copy.jpg (cat · test) and train/cat/001.jpeg (cat)."
    )
    assert texts["warning: The format gives labels away"] == (
        "The format alone tells classes apart: 100% of “owl” have “PNG”, 1% of the others do; first train/owl/000.png."
    )
    assert texts["warning: Files that cannot be read"].startswith("1 file cannot be read; first train/cat/cut.jpg: ")
    assert texts["warning: Classes that cannot be learnt"].endswith(
        "1 class without a label on a readable picture to train on: elk; first file test/elk/000.jpeg."
    )
    assert "2 classes of a single label: <script>, Cat;" in texts["warning: Classes of a single label"]
    assert "“owl” has 40 labels, “Cat” 1." in texts["note: Classes of unlike size"]
    problems = [one.text for one in report.findings if one.title == "Files and labels"]
    assert problems == [
        "1 file of a format that is not read: save as JPEG or PNG: train/cat/notes.HEIC.",
        "Classes whose names differ only in upper and lower case: Cat, cat: one class?",
    ]
    assert all(one.advice or one.title in ("Files and labels", "How it is read") for one in report.findings)
    assert report.impossible is None


def test_counts_add_up(report: Report) -> None:
    counts = report.counts
    assert (counts.files, counts.good, counts.labelled, counts.unlabelled, counts.held_out) == (113, 112, 105, 0, 7)
    assert counts.formats == {"JPEG": 71, "PNG": 41}
    assert counts.sizes == {"48 × 48": 111, "9 × 9": 1}
    assert {one.name: (one.labelled, one.held_out) for one in report.classes} == {
        "<script>": (1, 0), "Cat": (1, 0), "cat": (32, 5), "dog": (31, 0), "elk": (0, 2), "owl": (40, 0),
    }  # fmt: skip


def test_the_page_needs_nothing_else_and_escapes_names(report: Report, tmp_path: Path) -> None:
    page = write(report, tmp_path / "out")
    text = page.read_text()

    class Page(HTMLParser):
        """Collects tags and addresses."""

        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.sources: list[str] = []

        def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
            self.tags.append(tag)
            self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    parsed = Page()
    parsed.feed(text)
    assert not {"script", "link"} & set(parsed.tags)
    assert parsed.sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in parsed.sources)
    assert "photos &lt;b&gt;" in text
    assert "train/&lt;script&gt;/000.jpeg" in text
    assert "A training is possible; 8 warnings." in text
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written["counts"]["good"] == 112
    assert [one["title"] for one in written["findings"]] == [one.title for one in report.findings]
    assert written["findings"][0]["groups"] == [
        [{"name": "train/cat/000.jpeg", "note": "cat"}, {"name": "train/dog/copy.jpg", "note": "dog"}]
    ]
    assert "pictures" not in written


def test_all_is_well(tmp_path: Path) -> None:
    files = pictures("cat", 20) | pictures("dog", 20, kind=1)
    report = checked(planted(tmp_path / "photos", files), tmp_path / "cache")
    assert told(report) == {}
    assert "Nothing to complain about." in write(report, tmp_path / "out").read_text()
    assert len(report.examples["cat"]) == 8


def test_names_of_files_do_no_harm_unless_a_table_labels_them(tmp_path: Path) -> None:
    files = {f"cat/IMG_{number}.jpeg": content for number, content in enumerate(pictures("x", 20).values())}
    files |= {f"dog/DSC_{number}.jpeg": content for number, content in enumerate(pictures("y", 20, kind=1).values())}
    (finding,) = checked(planted(tmp_path / "photos", files), tmp_path / "cache").findings
    assert finding.level == "note"
    assert finding.text.startswith(
        "The file name alone tells classes apart: 100% of “cat” have “img_#”, 0% of the others"
    )
    flat = {name.split("/")[1]: content for name, content in files.items()}
    rows = "".join(f"{name.split('/')[1]},{name.split('/')[0]}\n" for name in files)
    root = planted(tmp_path / "flat", {**flat, "labels.csv": f"path,label\n{rows}".encode()})
    (finding,) = checked(root, tmp_path / "cache").findings
    assert finding.level == "warning"
    assert "each camera" in finding.advice


def test_many_classes_make_a_page_of_bounded_size(tmp_path: Path) -> None:
    messy.make(tmp_path / "photos", classes=500, each=2)
    report = checked(tmp_path / "photos", tmp_path / "cache")
    assert len(report.classes) == 501
    assert len(report.pictures) < 400
    assert write(report, tmp_path / "out").stat().st_size < 3_000_000
    bad = next(one for one in report.findings if one.title == "Files that cannot be read")
    assert len(bad.groups) == 10 + len(messy.BAD)
