"""The store of arrays on disk: what it returns, what a killed run leaves, and two runs at a time."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.rows import DIGEST, Rows

SHAPE = (2, 3)


def digests(*numbers: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in numbers]


def pixels(*numbers: int) -> NDArray[np.uint8]:
    return np.stack([np.full(SHAPE, number, np.uint8) for number in numbers])


def store(folder: Path) -> Rows:
    return Rows(folder, "kind", SHAPE, np.uint8)


def test_rows_are_found_by_digest_in_any_order(tmp_path: Path) -> None:
    rows = store(tmp_path)
    rows.add(digests(1, 2, 3), pixels(1, 2, 3))
    for opened in (rows, store(tmp_path)):
        assert (opened.read(digests(3, 1, 3)) == pixels(3, 1, 3)).all()
        assert opened.known(digests(2, 4)).tolist() == [True, False]
        assert len(opened) == 3
        with pytest.raises(KeyError):
            opened.read(digests(4))
        assert opened.read([]).shape == (0, *SHAPE)
    copy = rows.read(digests(1))
    copy[:] = 9
    assert (rows.read(digests(1)) == 1).all()


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    rows = store(tmp_path)
    rows.add(digests(1), pixels(1))
    rows.add(digests(1, 2, 2), pixels(7, 2, 2))
    assert (rows.read(digests(1, 2)) == pixels(1, 2)).all()
    assert len(store(tmp_path)) == 2


def test_other_shapes_and_types_are_other_stores(tmp_path: Path) -> None:
    store(tmp_path).add(digests(1), pixels(1))
    features = Rows(tmp_path, "kind", SHAPE, np.float32)
    assert len(features) == 0
    features.add(digests(1), pixels(5).astype(np.float32) / 2)
    assert (features.read(digests(1)) == 2.5).all()
    for wrong in (pixels(1, 2), pixels(1).astype(np.float32), pixels(1)[:, :1]):
        with pytest.raises(ValueError, match="rows of"):
            store(tmp_path).add(digests(2), wrong)


@pytest.mark.parametrize(
    ("row_bytes", "digest_bytes"), [(12, 32), (6, 64), (9, 32), (6, 40), (0, 64), (64, 0), (11, 63)]
)
def test_an_interrupted_write_is_cut_off(tmp_path: Path, row_bytes: int, digest_bytes: int) -> None:
    rows = store(tmp_path)
    rows.add(digests(1, 2), pixels(1, 2))
    for suffix, size in (("rows", row_bytes), ("digests", digest_bytes)):
        (path,) = tmp_path.glob(f"*.{suffix}")
        path.write_bytes(path.read_bytes().ljust(size, b"\0")[:size])
    again = store(tmp_path)
    whole = min(row_bytes // 6, digest_bytes // DIGEST, 2)
    assert again.known(digests(1, 2)).tolist() == [place < whole for place in range(2)]
    again.add(digests(3), pixels(3))
    for opened in (again, store(tmp_path)):
        kept = [number for number in (1, 2, 3) if opened.known(digests(number))[0]]
        assert (opened.read(digests(*kept)) == pixels(*kept)).all()


def test_two_processes_may_add_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.training.data.test_rows import *\n"
        "rows = store(Path(sys.argv[1]))\n"
        "for one in range(int(sys.argv[2]), 200, 2): rows.add(digests(one, one + 1), pixels(one, one + 1))"
    )
    adding = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), first]) for first in ("0", "1")]
    assert [process.wait() for process in adding] == [0, 0]
    rows = store(tmp_path)
    assert len(rows) == 201
    assert (rows.read(digests(*range(200))) == pixels(*range(200))).all()
    first, second = store(tmp_path), store(tmp_path)
    first.add(digests(300), pixels(44))
    second.add(digests(301), pixels(45))
    assert (second.read(digests(300, 301)) == pixels(44, 45)).all()
