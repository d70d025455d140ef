"""What files are, and their pixels: the same as the service's, remembered, and no run ends at one file."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from PIL import Image

from models.manifest import InputSpec
from models.pictures.decode import open_image
from models.pictures.preparation import preparation
from tests.pictures import messy
from tests.training.data.deadly import DEADS
from training.data import child, readers
from training.data import scan as scans
from training.data.collection import Collection, collect
from training.data.errors import DataError
from training.data.readers import Seen
from training.data.scan import FileInfo, prepared, scan, stream

SPECS = [InputSpec("crop", 32, 24, 3), InputSpec("stretch", 16, 16, 1)]
GRAY = {"16-bit PNG", "16-bit TIFF", "16-bit TIFF, big-endian", "float TIFF", "gray JPEG"}
GRAY |= {"gray with transparency", "black and white"}
ALTERED = {"transparent PNG", "transparent WebP", "gray with transparency", "palette with transparency"}
ALTERED |= {"huge", "tiny", "line"}
"""Kinds of odd files that do not show all of what they were made of."""


class Messy(NamedTuple):
    """A messy folder, what is in it, and what the scan says."""

    root: Path
    made: dict[str, list[str]]
    collection: Collection
    infos: list[FileInfo]
    cache: Path

    def info(self, name: str) -> FileInfo:
        return next(
            info for record, info in zip(self.collection.records, self.infos, strict=True) if record.name == name
        )


@pytest.fixture(scope="module")
def mess(tmp_path_factory: pytest.TempPathFactory) -> Messy:
    root, cache = tmp_path_factory.mktemp("messy") / "photos", tmp_path_factory.mktemp("cache")
    made = messy.make(root, classes=3, each=30)
    collection = collect(root)
    return Messy(root, made, collection, scan(collection, cache), cache)


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Seen]]:
    """What processes have read from now on."""
    read: list[tuple[str, Seen]] = []
    reading = scans._seen

    def watching(collection: Collection, names: Sequence[str], *rest: Any) -> Iterator[tuple[str, Seen]]:
        for one in reading(collection, names, *rest):
            read.append(one)
            yield one

    monkeypatch.setattr(scans, "_seen", watching)
    return read


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("nothing", "the file is empty"),
        ("text", "no picture of a known kind (PNG, JPEG"),
        ("page", "no picture of a known kind"),
        ("truncated JPEG", "the JPEG image cannot be decoded"),
        ("broken", "the JPEG image cannot be decoded"),
        ("truncated PNG", "the PNG image cannot be decoded"),
        ("damaged header", "its header is damaged or cut off"),
        ("too many pixels", "at most 120,000,000 are taken"),
    ],
)
def test_bad_files_say_why(mess: Messy, kind: str, said: str) -> None:
    for name in mess.made[kind]:
        assert said in str(mess.info(name).error)
        assert not mess.info(name).good


def test_all_others_are_good(mess: Messy) -> None:
    bad = {name for kind in [*messy.BAD, "broken"] for name in mess.made[kind]}
    assert {name for name in mess.collection.entries if not mess.info(name).good} == bad
    assert mess.info(mess.made["huge"][0]).width == 8000
    assert {mess.info(name).digest for name in mess.made["doubled"][:2]} == {mess.info(mess.made["doubled"][0]).digest}


@pytest.mark.parametrize("kind", messy.ODD)
def test_odd_files_show_what_they_were_made_of(kind: str) -> None:
    picture = messy.good(4, np.random.default_rng(0))
    info, (shown,) = child.decoded(messy.ODD[kind][1](picture), b"", [InputSpec("stretch", 12, 12, 3)])
    assert info.gray == (kind in GRAY)
    if kind not in ALTERED:
        original = np.asarray(picture.rotate(-90 if kind == "turned by EXIF" else 0).convert("L"), np.float32)
        small = cv2.resize(original, (12, 12), interpolation=cv2.INTER_AREA)
        assert abs(shown.mean(axis=-1) - small).mean() < 12
        assert np.corrcoef(shown.mean(axis=-1).ravel(), small.ravel())[0, 1] > 0.85


def test_pixels_are_the_services(mess: Messy) -> None:
    good = [record.name for record, info in zip(mess.collection.records, mess.infos, strict=True) if info.good]
    arrays = prepared(mess.collection, mess.infos, SPECS, mess.cache)
    streamed = list(stream(mess.collection, mess.infos, SPECS[0], batch_size=7))
    assert [array.shape for array in arrays] == [(len(good), 32, 24, 3), (len(good), 16, 16)]
    for spec, array in zip(SPECS, arrays, strict=True):
        for name, pixels in zip(good, array, strict=True):
            image = open_image(mess.collection.read(name), child.MAX_PIXELS)
            assert (preparation(spec).prepare(image).pixels == pixels).all(), name
    assert {len(batch) for _, batch in streamed[:-1]} == {7}
    assert np.concatenate([places for places, _ in streamed]).tolist() == list(range(len(good)))
    assert (np.concatenate([batch for _, batch in streamed]) == arrays[0]).all()
    some = list(stream(mess.collection, mess.infos, SPECS[0], 2, chosen=[5, 3, 9]))
    assert [places.tolist() for places, _ in some] == [[5, 3], [9]]
    assert (np.concatenate([batch for _, batch in some]) == arrays[0][[5, 3, 9]]).all()
    assert list(stream(mess.collection, mess.infos, SPECS[0], 2, chosen=[])) == []


def test_a_zip_is_read_in_place(mess: Messy, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "photos"), "zip", mess.root.parent, mess.root.name)
    collection = collect(tmp_path / "photos.zip")
    infos = scan(collection, tmp_path / "cache", SPECS)
    names = [record.name for record in mess.collection.records]
    assert [record.name for record in collection.records] == names
    assert infos == mess.infos
    (pixels,) = prepared(mess.collection, mess.infos, SPECS[:1], mess.cache)
    assert (prepared(collection, infos, SPECS[:1], tmp_path / "cache")[0] == pixels).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "photos.zip"]


def test_a_stream_may_be_left(mess: Messy) -> None:
    batches = stream(mess.collection, mess.infos, SPECS[0], batch_size=1)
    next(batches)
    batches.close()  # type: ignore[attr-defined]


def test_a_scan_may_prepare_on_the_way(mess: Messy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    infos = scan(mess.collection, tmp_path, SPECS)
    assert infos == mess.infos
    monkeypatch.setattr(scans, "Readers", None)
    arrays = prepared(mess.collection, infos, SPECS, tmp_path)
    assert sum(info.good for info in infos) == len(arrays[0])


def test_a_second_run_decodes_nothing(mess: Messy, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = prepared(mess.collection, mess.infos, SPECS, mess.cache)
    monkeypatch.setattr(scans, "Readers", None)
    collection = collect(mess.root)
    infos = scan(collection, mess.cache, SPECS)
    assert infos == mess.infos
    again = prepared(collection, infos, SPECS, mess.cache)
    assert all((one == other).all() for one, other in zip(arrays, again, strict=True))


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = tmp_path / "photos", tmp_path / "cache"
    messy.make(root, classes=2, each=3)
    scan(collect(root), cache, SPECS)
    read = watched(monkeypatch)
    (root / "class 000").rename(root / "moved")
    shutil.copy(root / "lonely" / "only one.jpg", root / "class 001" / "again.jpg")
    (root / "class 001" / "new.png").write_bytes(messy.encoded(Image.new("RGB", (9, 9), "red"), "PNG"))
    os.utime(root / "class 001" / "00001.jpg", ns=(1, 1))
    collection = collect(root)
    infos = scan(collection, cache, SPECS)
    assert [name for name, seen in read if not seen.known] == ["class 001/new.png"]
    assert len(read) == 3 + sum(name.startswith("moved/") for name in collection.entries)
    assert len(prepared(collection, infos, SPECS, cache)[0]) == sum(info.good for info in infos)


def test_a_file_that_changes_meanwhile_is_named(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    messy.make(root, classes=2, each=3)
    collection = collect(root)
    infos = scan(collection, tmp_path / "cache")
    (root / "class 001" / "00001.jpg").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"class 001/00001\.jpg: has changed since it was looked at \(no picture"):
        prepared(collection, infos, SPECS, tmp_path / "cache")
    (root / "class 001" / "00001.jpg").unlink()
    with pytest.raises(DataError, match=r"00001\.jpg: has changed .*cannot be read \(No such file"):
        list(stream(collection, infos, SPECS[0], 4))
    assert "cannot be read" in str(scan(collection, tmp_path / "other")[collection_place(collection)].error)


def collection_place(collection: Collection) -> int:
    return [record.name for record in collection.records].index("class 001/00001.jpg")


def test_no_run_ends_at_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PROGRAM", "tests.training.data.deadly")
    root = tmp_path / "photos"
    made = messy.make(root, classes=2, each=10)
    deaths = [*(content.decode() for content in DEADS), "memory", "raises", "leaves", "turns"]
    for death in deaths:
        (root / "class 000" / f"{death}.jpg").write_bytes(death.encode())
    collection = collect(root)
    infos = scan(collection, tmp_path / "cache", SPECS)
    errors = {record.name: info.error for record, info in zip(collection.records, infos, strict=True)}
    assert {death: errors[f"class 000/{death}.jpg"] for death in deaths} == {
        "segfault": "its decoder crashed (SIGSEGV)",
        "killed": "the system ended its decoder, as it does when memory is short",
        "slow": "decoding it takes more than 12 s of processor time",
        "hangs": "reading it takes more than 120 s",
        "memory": "reading it takes more memory than a picture may need",
        "raises": "it cannot be decoded: ZeroDivisionError('odd')",
        "leaves": "its decoder crashed (exit code 3)",
        "turns": "decoding it takes more than 12 s of processor time",
    }
    assert {errors[name] for name in made["good"]} == {None}
    read = watched(monkeypatch)
    assert scan(collection, tmp_path / "cache", SPECS) == infos
    assert [name for name, _ in read] == [
        "class 000/hangs.jpg",
        "class 000/killed.jpg",
    ]  # may be otherwise the next time


def test_a_program_that_does_not_start_is_no_files_fault(
    mess: Messy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "PROGRAM", "training.data.nothing")
    with pytest.raises(RuntimeError, match="a process that decodes does not start"):
        scan(mess.collection, tmp_path)


def test_a_damaged_cache_is_named(mess: Messy, tmp_path: Path) -> None:
    scan(mess.collection, tmp_path)
    (base,) = tmp_path.rglob("files.sqlite")
    base.write_bytes(b"nonsense" * 1000)
    with pytest.raises(DataError, match=r"files\.sqlite: cannot be used .*: delete it"):
        scan(mess.collection, tmp_path)
