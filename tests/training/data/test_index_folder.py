"""The index's command reads folders and tables as training does, and writes what training reads."""

from pathlib import Path

import pytest

from serving.index.export import export
from serving.index.folder import read_folder
from serving.index.items import Put
from serving.index.store import open_store
from tests.serving.index.given import put, written
from tests.training.data.tables import touched
from training.data.collection import collect

NAMES = [
    "cat/1.jpg", "cat/deep/2.PNG", "dog/1.jpeg", "test/cat/3.tif", "train/dog/4.webp", "unlabelled/5.gif", "root.bmp",
    "train/6.jpg", "test/7.jpg", "train/unlabeled/8.jpg", "Unlabeled/9.jpg", "val/dog/10.jpg", "Test/dog/11.jpg",
    "Fu\u0308chse/12.jpg", " cow /13.jpg", ".hidden/14.jpg", "a/.15.jpg", "__MACOSX/a/16.jpg", "notes.txt", "a/17.dat",
]  # fmt: skip
TABLES = {
    "none": None,
    "plain": "path,label\ncat/1.jpg,a\ndog/1.jpeg,b\nroot.bmp,\na/17.dat,c\n",
    "columns": "Class\timage path\na\tcat/1.jpg\nb\tdog/1.jpeg\n",
    "spaces and accents": "label; path\n  Fu\u0308chse ; cat\\1.jpg\n a ;./dog/1.jpeg\n",
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("names", [NAMES, [one for one in NAMES if not one.startswith("train/")]])
def test_labels_are_those_that_training_reads(tmp_path: Path, table: str | None, names: list[str]) -> None:
    root = touched(tmp_path, names)
    if table is not None:
        (root / "labels.csv").write_text(table)
    theirs = {record.name: record.label for record in collect(root).records}
    assert {file.id: file.label for file in read_folder(root).files} == theirs


def test_what_is_exported_is_what_training_learns_from(tmp_path: Path) -> None:
    odd = [
        "b\\c.jpg",
        " blank.jpg",
        ".hidden/1.jpg",
        "thumbs.db",
        "labels.csv",
        "no suffix",
        "ä" * 200 + ".jpg",
        "a",
        "a/b",
    ]
    labels = {f"{number}": label for number, label in enumerate(['["x"]', "{y", "a,b", 'q"q', "Füchse", "  z"])}
    writes: list[Put] = [put(f"odd/{own_id}", label="odd") for own_id in odd] + [
        put(own_id, label="root") for own_id in odd
    ]
    writes += [put(own_id, label=label) for own_id, label in labels.items()]
    writes += [put("test/held out.jpg", label="root"), put("unlabelled")]
    store = open_store(str(tmp_path / "index.sqlite"))
    for result in store.write(writes):
        written(result)
    assert export(store, tmp_path / "out").images == len(writes)
    store.close()
    found = collect(tmp_path / "out")
    assert found.problems == ()
    by_image = {found.read(record.name): record for record in found.records}
    assert by_image.keys() == {one.image for one in writes}
    for one in writes:
        record = by_image[one.image]
        assert record.label == (one.label.strip() if one.label else None), one.id
        assert record.held_out == one.id.startswith("test/")
