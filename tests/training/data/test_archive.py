"""Zips, read in place, and those built to do harm."""

import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.training.data.tables import labels
from training.data import archive
from training.data.collection import collect
from training.data.errors import DataError
from training.data.scan import scan


def zipped(path: Path, files: Mapping[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path


@pytest.mark.parametrize("top", ["", "photos/"])
def test_a_zip_is_read_as_its_folder_would_be(tmp_path: Path, top: str) -> None:
    files = {
        f"{top}cat/1.jpg": b"one",
        f"{top}test/dog/2.jpg": b"two",
        f"{top}dog/3.jpg": b"3",
        f"{top}dog/.x.jpg": b"",
    }
    collection = collect(zipped(tmp_path / "a.zip", files | {"__MACOSX/cat/._1.jpg": b"", f"{top}cat/.DS_Store": b""}))
    assert labels(collection) == {"cat/1.jpg": "cat", "dog/3.jpg": "dog", "!test/dog/2.jpg": "dog"}
    assert collection.read("test/dog/2.jpg") == b"two"
    assert collection.notes == (f"1 hidden name left out: {top}dog/.x.jpg",)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_zip_may_hold_a_table(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"x/labels.csv": "path,label\nimages/1.jpg,cat\n2.jpg,dog\n"}
    files |= {"x/images/1.jpg": b"", "x/images/2.jpg": b""}
    assert labels(collect(zipped(tmp_path / "a.ZIP", files))) == {"images/1.jpg": "cat", "images/2.jpg": "dog"}


def test_splits_are_no_wrapping(tmp_path: Path) -> None:
    collection = collect(zipped(tmp_path / "a.zip", {"train/cat/1.jpg": b"", "train/dog/1.jpg": b""}))
    assert labels(collection) == {"train/cat/1.jpg": "cat", "train/dog/1.jpg": "dog"}


def test_names_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    bad = ["/etc/1.jpg", "../1.jpg", "cat/../../1.jpg", "C:\\1.jpg", "C:/1.jpg", "\\\\host\\share\\1.jpg"]
    path = zipped(tmp_path / "a.zip", dict.fromkeys(["cat/1.jpg", "dog\\2.jpg", *bad], b""))
    with zipfile.ZipFile(path, "a") as made:
        link = zipfile.ZipInfo("cat/link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
    collection = collect(path)
    assert labels(collection) == {"cat/1.jpg": "cat", "dog/2.jpg": "dog"}
    assert collection.problems == (
        "6 names refused: they lead out of the zip: /etc/1.jpg, ../1.jpg, cat/../../1.jpg and 3 more",
        "1 name left out: symbolic links: cat/link.jpg",
    )


def test_names_in_utf_8_that_do_not_say_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"Kaefer/gr\u00f6\u00dfer.jpg": b"x", "b/1.jpg": b""})
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):  # where the flags' higher byte stands
        content[content.index(mark) + place] = 0
    path.write_bytes(content)
    with zipfile.ZipFile(path) as made:
        assert made.namelist()[0] == "Kaefer/gr├╢├ƒer.jpg"
    collection = collect(path)
    assert labels(collection) == {"Kaefer/gr\u00f6\u00dfer.jpg": "Kaefer", "b/1.jpg": "b"}
    assert collection.read("Kaefer/gr\u00f6\u00dfer.jpg") == b"x"


def test_zips_out_of_bounds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "a.zip", {"cat/1.jpg": bytes(1_000_000), "dog/1.jpg": b""})
    assert len(collect(path).records) == 2
    monkeypatch.setattr(archive, "ALWAYS_BYTES", 1000)
    with pytest.raises(DataError, match=r"a\.zip: 1,000,000 bytes unpacked, more than 200 times its size: unpack it"):
        collect(path)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 999_999)
    with pytest.raises(DataError, match="1,000,000 bytes unpacked, more than 999,999: unpack it"):
        collect(path)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    with pytest.raises(DataError, match="2 files, more than 1: unpack it"):
        collect(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_several_files_of_one_name_the_last_counts(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        for name, content in (("a/1.jpg", "1"), ("b/1.jpg", "2"), (".", ""), ("a/1.jpg", "3"), ("a//1.jpg", "4")):
            made.writestr(name, content)
    collection = collect(tmp_path / "a.zip")
    assert list(labels(collection)) == ["a/1.jpg", "b/1.jpg"]
    assert collection.read("a/1.jpg") == b"4"
    assert collection.problems == ("2 files left out: another file has the same name: a/1.jpg, a/1.jpg",)
    assert collection.notes == ()


def test_a_zip_that_changes_meanwhile_gives_no_others_pictures(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a/1.jpg": b"one", "b/1.jpg": b"two"})
    collection = collect(path)
    zipped(path, {"b/1.jpg": b"two", "a/1.jpg": b"one"})
    with pytest.raises(DataError, match=r"a/1\.jpg: the zip is another one by now"):
        collection.read("a/1.jpg")
    infos = scan(collection, tmp_path / "cache")
    assert [info.error for info in infos] == ["the zip is another one by now: run again"] * 2
    path.unlink()
    with pytest.raises(DataError, match=r"a\.zip: cannot be read \(No such file"):
        scan(collection, tmp_path / "cache")


def test_all_that_decompressors_raise_is_told(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = tmp_path / f"{method}.zip"
        with zipfile.ZipFile(path, "w", method) as made:
            made.writestr("a/1.jpg", bytes(range(256)) * 9)
            made.writestr("b/1.jpg", b"")
        content = bytearray(path.read_bytes())
        content[38:70] = b"\xff" * 32
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a/1\.jpg: cannot be read from the zip"):
            collect(path).read("a/1.jpg")


def test_damaged_zips_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(DataError, match=r"text\.zip: no zip that can be read"):
        collect(tmp_path / "text.zip")
    path = zipped(tmp_path / "a.zip", {"cat/1.jpg": bytes(range(256)), "dog/1.jpg": b""})
    content = bytearray(path.read_bytes())
    content[content.index(b"cat/1.jpg") + 60] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cat/1\.jpg: cannot be read from the zip"):
        collect(path).read("cat/1.jpg")
    flagged = bytearray(zipped(path, {"cat/1.jpg": b"", "dog/1.jpg": b""}).read_bytes())
    flagged[flagged.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(flagged)
    with pytest.raises(DataError, match=r"cat/1\.jpg need a password"):
        collect(path)
