"""Items → files and a table."""

import csv
import os
from pathlib import Path

import pytest

from serving.index.export import export, table_label
from serving.index.folder import FolderError, read_folder
from serving.index.items import Label
from serving.index.store import MAX_GROUP, Store
from tests.serving.index.given import put

LONG = "ä" * 200 + ".jpg"
"""More bytes than a file system takes as a name."""


def table(folder: Path) -> dict[str, str]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "label"]
    return dict(rows)


def test_files_are_as_they_were_sent_and_the_table_names_them_all(store: Store, tmp_path: Path) -> None:
    ids = ["cat/1.jpg", "dög 2.png", "no suffix", 'a,"b".jpg', "日本/3.webp"]
    store.write([put(own_id, label=f"of {own_id}") for own_id in ids] + [put("unlabelled.jpg")])
    steps, odd = list[int](), list[str]()
    out = tmp_path / "new" / "out"
    assert export(store, out, steps.append, odd.append) == (6, 5, 0)
    assert table(out) == {own_id: f"of {own_id}" for own_id in ids} | {"unlabelled.jpg": ""}
    for own_id in [*ids, "unlabelled.jpg"]:
        assert (out / own_id).read_bytes() == b"image of " + own_id.encode()
    assert (sum(steps), odd) == (6, [])
    assert {file.id: file.label or "" for file in read_folder(out).files} == table(out)


def test_no_name_leads_out_hides_or_is_written_twice(store: Store, tmp_path: Path) -> None:
    safe = ["a/b", "c"]
    odd_ids = ["a", ".hidden/1.jpg", "Labels.CSV", "b\\c.jpg", " blank", LONG, f"{LONG}/x.png", "thumbs.db", "C:\\x"]
    odd_ids += ["-rf", "~root", "$(x)"]
    store.write([put(own_id) for own_id in [*safe, *odd_ids]])
    told: list[str] = []
    assert export(store, tmp_path / "out", on_odd=told.append).images == 14
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name != "labels.csv"]
    assert {path.read_bytes() for path in files} == {b"image of " + one.encode() for one in [*safe, *odd_ids]}
    names = {path.relative_to(tmp_path / "out").as_posix() for path in files}
    assert table(tmp_path / "out").keys() == names
    assert not [name for name in names if any(part.startswith(".") for part in name.split("/"))]
    assert [path.name for path in tmp_path.iterdir() if path.name != "new folder"] == ["out"]
    assert len(told) == 9  # "a" is a file by then, and "a/b" moves; the last three are plain
    assert len(read_folder(tmp_path / "out").files) == 14


@pytest.mark.parametrize("own_id", ["labels.csv/x.png", "LABELS.csv/deep/y.png"])
def test_no_folder_takes_the_tables_name(store: Store, tmp_path: Path, own_id: str) -> None:
    store.write([put(own_id, label="x"), put("z.png")])
    told: list[str] = []
    assert export(store, tmp_path / "out", on_odd=told.append) == (2, 1, 0)
    ((name, _),) = (row for row in table(tmp_path / "out").items() if row[1] == "x")
    assert (tmp_path / "out" / name).read_bytes() == b"image of " + own_id.encode()
    assert told == [f"{own_id}: written as {name}"]


def deep_folder(root: Path, left: int) -> Path:
    """A path below which the system takes so many more bytes."""
    more = os.pathconf(root, "PC_PATH_MAX") - 1 - left - len(os.fsencode(root))  # with an end of text
    names = [("d" * 99)] * (more // 100 - 1)
    return root.joinpath(*names, "e" * (more - 100 * len(names) - 1))


def test_a_path_that_is_too_long_becomes_a_shorter_one(store: Store, tmp_path: Path) -> None:
    own_id = "ü" * 120 + "/" + "ü" * 120 + ".jpg"
    store.write([put(own_id), put("z.png")])
    told: list[str] = []
    out = deep_folder(tmp_path, 250)
    assert export(store, out, on_odd=told.append).images == 2
    (name,) = table(out).keys() - {"z.png"}
    assert (out / name).read_bytes() == b"image of " + own_id.encode()
    assert told == [f"{own_id}: written as {name}"]


def test_an_image_that_fits_nowhere_stops_no_other(store: Store, tmp_path: Path) -> None:
    long = "x" * 250 + ".jpg"
    store.write([put("a.png"), put(long, label="x"), put("z.png")])
    told: list[str] = []
    out = deep_folder(tmp_path, 100)
    with pytest.raises(FolderError, match=r"1 images are not written, the other 2 and labels\.csv are"):
        export(store, out, on_odd=told.append)
    assert table(out) == {"a.png": "", "z.png": ""}
    assert {path.name for path in out.iterdir()} == {"a.png", "z.png", "labels.csv"}
    assert told == [f"{long}: not written, its path would be too long"]


def test_labels_over_the_bundles_images_have_no_file(store: Store, tmp_path: Path) -> None:
    store.write([put("a.jpg"), Label(id="train-1", label="x", bundled=True)])
    assert export(store, tmp_path / "out") == (1, 0, 1)
    assert table(tmp_path / "out") == {"a.jpg": ""}


def test_all_pages_are_written(store: Store, tmp_path: Path) -> None:
    for first in (0, MAX_GROUP):
        store.write([put(f"{first + number:04}.png") for number in range(MAX_GROUP - 10)])
    assert export(store, tmp_path / "out").images == 2 * (MAX_GROUP - 10)


def test_a_folder_that_holds_something_is_refused(store: Store, tmp_path: Path) -> None:
    store.write([put("a.jpg")])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with pytest.raises(FolderError, match="is not empty"):
        export(store, tmp_path / "mine")
    with pytest.raises(FolderError, match="no folder can be made"):
        export(store, tmp_path / "mine" / "file")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("label", "cell"),
    [
        (None, ""), ("cat", "cat"), (" cat ", "cat"), ("two\nlines", ""), (" ", ""), ("end\n", "end"),
        ('["a"]', '["[\\"a\\"]"]'), ("{x", '["{x"]'), ("a,b", "a,b"),
    ],
)  # fmt: skip
def test_labels_are_written_as_training_reads_them(label: str | None, cell: str) -> None:
    assert table_label(label) == cell


def test_a_label_that_a_table_cannot_tell_is_told(store: Store, tmp_path: Path) -> None:
    store.write([put("a.jpg", label="two\nlines")])
    told: list[str] = []
    assert export(store, tmp_path / "out", on_odd=told.append) == (1, 0, 0)
    assert told == ["a.jpg: its label is no line of text, and not written: two\\nlines"]
