"""What disks, other programs and people do while files are looked at."""

import itertools
import os
import resource
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from models.manifest import InputSpec
from tests.pictures import messy
from tests.training.data.test_scan import watched
from training.data import scan as scans
from training.data.collection import Collection, collect
from training.data.errors import DataError
from training.data.readers import Seen
from training.data.scan import prepared, scan

SPEC = InputSpec("stretch", 24, 24, 1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for number in range(150):
        path = root / f"{number % 2}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(messy.encoded(Image.new("RGB", (30, 30), (number, 0, 0)), "PNG"))
    return root


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The next scan gets a Ctrl-C when it has read so many files."""
    reading = scans._seen

    def stopping(collection: Collection, names: Sequence[str], *rest: Any) -> Iterator[tuple[str, Seen]]:
        yield from itertools.islice(reading(collection, names, *rest), after)
        raise KeyboardInterrupt

    monkeypatch.setattr(scans, "_seen", stopping)


def test_what_was_looked_at_before_a_ctrl_c_is_remembered(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = collect(photos)
    with monkeypatch.context() as patch:
        interrupted(patch, 100)
        with pytest.raises(KeyboardInterrupt):
            scan(collection, tmp_path / "cache", [SPEC])
    with monkeypatch.context() as patch:
        read = watched(patch)
        infos = scan(collection, tmp_path / "cache", [SPEC])
        assert len(read) == 50
    assert infos == scan(collection, tmp_path / "other")
    assert len(prepared(collection, infos, [SPEC], tmp_path / "cache")[0]) == 150


def test_a_long_scan_is_written_on_the_way(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "KEPT_S", 0)
    written = list[int]()
    write = scans._Keeper.write

    def writing(keeper: scans._Keeper) -> None:
        written.append(len(keeper._files))
        write(keeper)

    monkeypatch.setattr(scans._Keeper, "write", writing)
    scan(collect(photos), tmp_path / "cache")
    assert written == [1] * 150 + [0]


def test_two_scans_may_share_a_cache(photos: Path, tmp_path: Path) -> None:
    collection = collect(photos)

    def scanned(_: int) -> object:
        infos = scan(collection, tmp_path / "cache", [SPEC])
        return infos, prepared(collection, infos, [SPEC], tmp_path / "cache")[0].tolist()

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(scanned, range(2))
    assert first == second
    assert first == scanned(0)


@pytest.mark.parametrize("most", [1_000, 20_000, 60_000])
def test_a_disk_that_is_full_is_named(photos: Path, tmp_path: Path, most: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    collection = collect(photos)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))  # of one file: Python and SQLite get an error
    try:
        with pytest.raises(
            DataError, match=rf"{tmp_path}/cache/.*: (cannot be used|the cache cannot be written) .*: make room"
        ):
            scan(collection, tmp_path / "cache", [SPEC])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    infos = scan(collection, tmp_path / "cache", [SPEC])
    assert infos == scan(collection, tmp_path / "other")
    pixels = [prepared(collection, infos, [SPEC], tmp_path / name)[0] for name in ("cache", "other")]
    assert (pixels[0] == pixels[1]).all()


def test_a_cache_that_cannot_be_written_is_named(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match=r"cache/.*: the cache cannot be written \(Not a directory\): make room"):
        scan(collect(photos), tmp_path / "cache")


def test_a_pipe_in_a_files_place_keeps_nobody_waiting(photos: Path, tmp_path: Path) -> None:
    collection = collect(photos)
    (photos / "0" / "000.png").unlink()
    os.mkfifo(photos / "0" / "000.png")
    errors = [info.error for info in scan(collection, tmp_path / "cache") if info.error]
    assert errors == ["no plain file any more"]
    with pytest.raises(DataError, match="no plain file any more"):
        collection.read("0/000.png")


def test_files_that_may_not_be_read_are_told(photos: Path, tmp_path: Path) -> None:
    (photos / "0" / "000.png").chmod(0)
    infos = scan(collect(photos), tmp_path / "cache")
    if os.geteuid():
        assert infos[0].error == "cannot be read (Permission denied)"
    (photos / "0" / "000.png").chmod(0o600)
    assert scan(collect(photos), tmp_path / "cache")[0].error is None
