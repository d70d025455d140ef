"""Which files of a folder are pictures, and which label each has."""

import os
import sys
from pathlib import Path

import pytest

from models.names import encodable, shown
from serving.index.folder import FolderError, Labels, read_folder


def touched(root: Path, names: list[str], table: str | None = None) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"pixels")
    if table is not None:
        (root / "labels.csv").write_text(table)
    return root


def labels(root: Path, how: Labels = "auto") -> dict[str, str | None]:
    return {file.id: file.label for file in read_folder(root, how).files}


def test_folders_are_classes_and_splits_are_not(tmp_path: Path) -> None:
    names = ["cat/1.jpg", "cat/deep/2.PNG", "test/cat/3.tif", "train/dog/4.webp", "unlabelled/5.gif", "root.bmp"]
    names += ["train/unlabeled/6.jpg", "val/dog/7.jpg", "train/8.jpg", "notes.txt", "cat/notes"]
    assert labels(touched(tmp_path, names)) == {
        "cat/1.jpg": "cat", "cat/deep/2.PNG": "cat", "root.bmp": None, "test/cat/3.tif": "cat", "train/8.jpg": None,
        "train/dog/4.webp": "dog", "train/unlabeled/6.jpg": None, "unlabelled/5.gif": None, "val/dog/7.jpg": "dog",
    }  # fmt: skip
    assert set(labels(tmp_path, "none").values()) == {None}


def test_a_table_wins(tmp_path: Path) -> None:
    table = "Label;file_name\n cat ;a/1.jpg\n;a/2.jpg\ndog;.\\b.dat\ncow;gone.jpg\n"
    root = touched(tmp_path, ["a/1.jpg", "a/2.jpg", "a/3.jpg", "b.dat", "c.dat"], table)
    assert labels(root) == {"a/1.jpg": "cat", "a/2.jpg": None, "a/3.jpg": None, "b.dat": "dog"}
    assert read_folder(root).problems == ["labels.csv: names no file of the folder: gone.jpg (line 5)"]
    assert labels(root, "folders") == {"a/1.jpg": "a", "a/2.jpg": "a", "a/3.jpg": "a"}


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ("name,label\na.jpg,cat\n", "must name the columns"),
        ("", "must name the columns"),
        ("path,label\nb.jpg,cat\n", "no row names a file"),
        ("path,label\na.jpg,cat\na.jpg,dog\n", "line 3: a.jpg has another label above"),
        ('path,label\na.jpg,"cat\ndog"\n', "several lines"),
        (f"path,label\na.jpg,{256 * 'x'}\n", "1 to 255 characters"),
        (f"path,label\na.jpg,{200_000 * 'x'}\n", "no CSV that can be read"),
    ],
)
def test_a_table_that_cannot_be_meant_is_told(tmp_path: Path, table: str, match: str) -> None:
    with pytest.raises(FolderError, match=match):
        read_folder(touched(tmp_path, ["a.jpg"], table))


def test_a_table_in_another_encoding_is_told(tmp_path: Path) -> None:
    touched(tmp_path, ["a.jpg"])
    (tmp_path / "labels.csv").write_bytes(b"path,label\na.jpg,K\xe4se\n")
    with pytest.raises(FolderError, match="as UTF-8"):
        read_folder(tmp_path)


def test_hidden_files_and_links_that_lead_out_are_left_out(tmp_path: Path) -> None:
    outside = touched(tmp_path / "outside", ["secret.jpg"])
    root = touched(tmp_path / "root", ["a/1.jpg", "a/.hidden.jpg", ".git/2.jpg", "__MACOSX/a/1.jpg", "a/Thumbs.db"])
    (root / "a" / "2.jpg").symlink_to(root / "a" / "1.jpg")
    (root / "out.jpg").symlink_to(outside / "secret.jpg")
    (root / "up").symlink_to(outside)
    (root / "round.jpg").symlink_to(root / "round.jpg")
    os.mkfifo(root / "pipe.jpg")
    found = read_folder(root)
    assert [file.id for file in found.files] == ["a/1.jpg", "a/2.jpg"]
    assert sorted(line.partition(": ")[2] for line in found.problems) == [
        "out.jpg (a link)", "pipe.jpg (no plain file)", "round.jpg (a link)", "up (a link)",
    ]  # fmt: skip


def test_where_there_is_no_picture_or_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no picture in it; pictures end in"):
        read_folder(touched(tmp_path, ["a.txt"]))
    with pytest.raises(FolderError, match="cannot be read"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(FolderError, match="cannot be read"):
        read_folder(tmp_path / "a.txt")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_names_that_are_no_text_become_text(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(b"pixels")
    (file,) = read_folder(tmp_path).files
    assert file.id == "caf\\xe9.jpg"
    assert file.path.read_bytes() == b"pixels"
    assert shown("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert encodable("é") == "é"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_a_file_whose_id_another_one_has_is_told(tmp_path: Path) -> None:
    (tmp_path / "dog").mkdir()
    for name in (b"/dog/\xff.png", rb"/dog/\xff.png"):
        Path(os.fsdecode(os.fsencode(tmp_path) + name)).write_bytes(name)
    found = read_folder(tmp_path)
    (file,) = found.files
    assert (file.id, file.path.read_bytes()) == (r"dog/\xff.png", rb"/dog/\xff.png")
    assert found.problems == [
        r"left out, another file's name is written in the same way: dog/\xff.png (has bytes that are no UTF-8)"
    ]
