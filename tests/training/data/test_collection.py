"""Folders of classes: which file has which label, and what is said of the rest."""

import os
import re
import sys
from pathlib import Path

import pytest

from models.layouts import SUFFIXES
from tests.training.data.tables import labels, touched
from training.data.collection import collect
from training.data.errors import DataError
from training.data.folder import MAX_BYTES, _Walk


def test_folders_are_classes_and_splits_are_not(tmp_path: Path) -> None:
    names = ["cat/1.jpg", "cat/deep/2.PNG", "dog/1.jpeg", "test/cat/3.tif", "train/dog/4.webp", "unlabelled/5.gif"]
    names += ["root.bmp", "train/6.jpg", "test/7.jpg", "train/unlabeled/8.jpg", "Unlabeled/9.jpg", "test/dog/x/10.jpg"]
    collection = collect(touched(tmp_path, names))
    assert labels(collection) == {
        "Unlabeled/9.jpg": None,
        "cat/1.jpg": "cat",
        "cat/deep/2.PNG": "cat",
        "dog/1.jpeg": "dog",
        "root.bmp": None,
        "!test/7.jpg": None,
        "!test/cat/3.tif": "cat",
        "!test/dog/x/10.jpg": "dog",
        "train/6.jpg": None,
        "train/dog/4.webp": "dog",
        "train/unlabeled/8.jpg": None,
        "unlabelled/5.gif": None,
    }
    assert [record.name for record in collection.records] == sorted(record.name for record in collection.records)
    assert collection.class_names == ("cat", "dog")
    assert collection.problems == ()
    assert collection.read("cat/1.jpg") == b"pixels"


def test_nothing_is_written(tmp_path: Path) -> None:
    touched(tmp_path, ["cat/1.jpg", "dog/1.jpg"])
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    collect(tmp_path)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    touched(tmp_path, ["cat/1.jpg", "dog/1.jpg", "dog/notes.txt", "dog/a.heic", "dog/b.heic", "dog/c.heic"])
    touched(tmp_path, [".git/1.jpg", "cat/._1.jpg", "cat/.DS_Store", "cat/Thumbs.db", "__MACOSX/1.jpg"])
    os.mkfifo(tmp_path / "cat" / "pipe.jpg")
    collection = collect(tmp_path)
    assert len(collection.records) == 2
    assert collection.problems == (
        "1 name left out: no plain files: cat/pipe.jpg",
        "3 files of a format that is not read: save as JPEG or PNG: dog/a.heic, dog/b.heic, dog/c.heic",
    )
    assert collection.notes == (
        "1 file left out, no pictures by the ends of their names: dog/notes.txt",
        "2 hidden names left out: .git, cat/._1.jpg",
    )


def test_links_lead_nowhere_but_to_files_of_the_folder(tmp_path: Path) -> None:
    root = touched(tmp_path / "root", ["cat/1.jpg", "dog/1.jpg"])
    touched(tmp_path / "elsewhere", ["secret.jpg"])
    (root / "dog" / "2.jpg").symlink_to(root / "cat" / "1.jpg")
    (root / "dog" / "out.jpg").symlink_to(tmp_path / "elsewhere" / "secret.jpg")
    (root / "dog" / "nowhere.jpg").symlink_to("missing")
    (root / "dog" / "circle").symlink_to(root)
    (root / "dog" / "self.jpg").symlink_to("self.jpg")
    (root / "out").symlink_to(tmp_path / "elsewhere")
    collection = collect(root)
    assert list(labels(collection)) == ["cat/1.jpg", "dog/1.jpg", "dog/2.jpg"]
    (problem,) = collection.problems
    assert problem.startswith("5 names left out: symbolic links to folders, to nothing or out of the folder")
    (tmp_path / "link").symlink_to(root)
    assert len(collect(tmp_path / "link").records) == 3


def test_names_are_kept_and_can_always_be_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["K\u00e4fer/a b\u202fc.jpg", "Ka\u0308fer/1.jpg", "cat /\n.jpg", "cat/1.jpg"]
    touched(tmp_path, names)
    (tmp_path / "cat" / os.fsdecode(b"\xff.jpg")).write_bytes(b"odd")
    (tmp_path / os.fsdecode(b"\xe4")).mkdir()
    (tmp_path / os.fsdecode(b"\xe4") / "\x1b[31m.jpg").write_bytes(b"odd")
    collection = collect(tmp_path)
    assert set(names) | {"cat/\\xff.jpg", "\\xe4/\x1b[31m.jpg"} == {record.name for record in collection.records}
    assert collection.class_names == ("K\u00e4fer", "\\xe4", "cat")
    assert collection.read("cat/\\xff.jpg") == b"odd"
    for record in collection.records:
        record.name.encode()
    assert collection.problems == (
        "2 folders' names look the same, K\u00e4fer: taken as one class",
        "2 folders' names look the same, cat: taken as one class",
    )
    print(*collection.problems)


def test_a_folder_whose_role_is_not_clear_is_told(tmp_path: Path) -> None:
    collection = collect(touched(tmp_path / "a", ["bus/1.jpg", "car/1.jpg", "train/1.jpg"]))
    assert collection.problems == ("train/ holds pictures but no folders of classes: they are taken as unlabelled",)
    collection = collect(touched(tmp_path / "b", ["train/a/1.jpg", "val/a/2.jpg", "val/b/1.jpg"]))
    assert labels(collection) == {"train/a/1.jpg": "a", "val/a/2.jpg": "a", "val/b/1.jpg": "b"}
    assert collection.notes == ("val/ is trained on like train/: only test/ is held out",)
    collection = collect(touched(tmp_path / "c", ["val/1.jpg", "b/1.jpg"]))
    assert collection.class_names == ("b", "val")
    collection = collect(touched(tmp_path / "d", ["Cat/1.jpg", "cat/1.jpg"]))
    assert collection.problems == ("classes whose names differ only in upper and lower case: Cat, cat: one class?",)
    collection = collect(touched(tmp_path / "e", ["a/1.jpg", "b/1.jpg", "project-1.csv"]))
    assert "project-1.csv is not read: call it labels.csv, or give it as DATA" in collection.notes[0]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], r"data: no picture in it, only nothing; pictures end in \.bmp, "),
        (["a/1.heic", "b/1.heic", "b/x"], r"only \.heic \(2\), no suffix \(1\)"),
        (["1.jpg", "unlabelled/2.jpg"], "none of its 2 pictures to train on has a label: make a folder"),
        (["cat/1.jpg", "cat/2.jpg", "3.jpg"], "only one class, 'cat', has labels.*one folder deeper"),
        (["a/1.jpg", "test/b/1.jpg"], "only one class, 'a'"),
        (["test/a/1.jpg", "test/b/1.jpg"], "none of its 2 pictures to train on has a label"),
    ],
)
def test_where_nothing_can_be_learnt_one_is_told_why(tmp_path: Path, names: list[str], said: str) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match=said):
        collect(touched(tmp_path / "data", names))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1.jpg", "unlabelled/2.jpg"], "none of its 2 pictures to train on has a label: make a folder"),
        (["cat/1.jpg", "3.jpg"], "only one class, 'cat', has labels"),
        (["test/a/1.jpg", "test/b/1.jpg"], "none of its 2 pictures to train on has a label"),
        (["a/1.jpg", "b/1.jpg"], None),
    ],
)
def test_labels_may_be_lacking_where_none_are_needed(tmp_path: Path, names: list[str], said: str | None) -> None:
    collection = collect(touched(tmp_path, names), labels_needed=False)
    assert len(collection.records) == len(names)
    assert collection.problems == ()
    assert [said in note for note in collection.notes] == [True] if said else collection.notes == ()


def test_pictures_are_needed_in_any_case(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture in it"):
        collect(touched(tmp_path, ["notes.txt"]), labels_needed=False)


def test_pictures_behind_links_are_told_where_there_are_no_others(tmp_path: Path) -> None:
    touched(tmp_path, ["blobs/1"])
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "cat" / "1.jpg").symlink_to(tmp_path / "blobs" / "1")
    with pytest.raises(DataError, match=r"no picture in it.*1 name left out: symbolic links .*: cat/1\.jpg"):
        collect(tmp_path / "data")


def test_files_that_go_meanwhile_take_no_others_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = _Walk._take

    def taking(walk: _Walk, entry: "os.DirEntry[str]", key: str) -> bool:
        if entry.name == "gone.jpg":
            raise FileNotFoundError(2, "No such file or directory")
        return take(walk, entry, key)

    touched(tmp_path, ["a/1.jpg", "a/gone.jpg", "a/2.jpg", "b/1.jpg"])
    monkeypatch.setattr(_Walk, "_take", taking)
    collection = collect(tmp_path)
    assert list(labels(collection)) == ["a/1.jpg", "a/2.jpg", "b/1.jpg"]
    assert collection.problems == ()


def test_names_that_are_written_alike_are_told(tmp_path: Path) -> None:
    touched(tmp_path, ["a/1.jpg", "b/1.jpg", "b/\\xff.jpg"])
    (tmp_path / "b" / os.fsdecode(b"\xff.jpg")).write_bytes(b"pixels")
    collection = collect(tmp_path)
    assert len(collection.records) == 3
    assert collection.problems == ("1 file left out: another file has the same name: b/\\xff.jpg",)


@pytest.mark.parametrize("name", ["pipe.zip", "pipe.csv"])
def test_pipes_are_no_data(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="neither a folder nor a plain file"):
        collect(tmp_path / name)


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"photos: there is no such folder or file; make a folder"):
        collect(tmp_path / "photos")
    (tmp_path / "photos.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"photos\.tar: neither a folder, nor a \.zip or \.csv file"):
        collect(tmp_path / "photos.tar")


def test_folders_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("/c"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    touched(tmp_path, ["a/1.jpg", "b/1.jpg", "c/1.jpg"])
    monkeypatch.setattr(os, "scandir", refusing)  # root may read everything
    assert collect(tmp_path).problems == ("1 name cannot be read: give yourself the right to: c (Permission denied)",)


def test_large_files_are_told_and_not_read(tmp_path: Path) -> None:
    touched(tmp_path, ["a/1.jpg", "b/1.jpg"])
    with (tmp_path / "b" / "scan.tif").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    collection = collect(tmp_path)
    assert collection.problems == ("1 file larger than 100 MB, not read: b/scan.tif",)
    with pytest.raises(DataError, match=re.escape("b/scan.tif: larger than 100 MB")):
        collection.read("b/scan.tif")
    (tmp_path / "a" / "1.jpg").unlink()
    with pytest.raises(DataError, match=r"a/1\.jpg: cannot be read \(No such file"):
        collection.read("a/1.jpg")


def test_collecting_loads_neither_torch_nor_numpy() -> None:
    import subprocess

    code = "import sys, training.data.collection; sys.exit(bool({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_suffixes_are_lower_case() -> None:
    assert {suffix.casefold() for suffix in SUFFIXES} == SUFFIXES
