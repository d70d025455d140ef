"""Arrays of one shape, found again by a digest: an append-only store on disk that outlives a run that is killed.

Two files: rows, and their digests in the same order. Rows are on disk before their digests are, so that what a digest
names is whole; what is left of an interrupted write is cut off. Several processes may add at a time.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from training.data.errors import writing_cache

DIGEST = 32
"""Bytes of a SHA-256."""


class Rows:
    """Digest → row of a fixed `shape` and `dtype`; `key` says what the rows are.

    Raises DataError, naming the folder, where it cannot be written.
    """

    def __init__(self, folder: Path, key: str, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._folder = folder
        self.shape, self.dtype = shape, np.dtype(dtype)
        name = "-".join([key, "x".join(map(str, shape)), self.dtype.name])
        self._rows, self._digests = folder / f"{name}.rows", folder / f"{name}.digests"
        self._size = int(np.prod(shape)) * self.dtype.itemsize
        self._positions: dict[bytes, int] = {}
        self._digests_read = 0
        with writing_cache(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            pass

    def __len__(self) -> int:
        return len(self._positions)

    def known(self, digests: Sequence[bytes]) -> NDArray[np.bool_]:
        """(n,): which of them have a row."""
        return np.fromiter((digest in self._positions for digest in digests), np.bool_, len(digests))

    def add(self, digests: Sequence[bytes], rows: NDArray[Any]) -> None:
        """Keeps rows (n, *shape) of these digests; those that are there already stay as they are."""
        if rows.shape != (len(digests), *self.shape) or rows.dtype != self.dtype:
            raise ValueError(f"rows of {rows.shape} {rows.dtype}, not {(len(digests), *self.shape)} {self.dtype}")
        with self._locked() as (row_file, digest_file):
            new = {digest: place for place, digest in enumerate(digests) if digest not in self._positions}
            if new:
                _append(row_file, np.ascontiguousarray(rows[list(new.values())]).tobytes())
                _append(digest_file, b"".join(new))
                self._read_digests(digest_file)

    def read(self, digests: Sequence[bytes]) -> NDArray[Any]:
        """(n, *shape) in this order, a copy in memory; raises KeyError for a digest without a row."""
        if not digests:
            return np.zeros((0, *self.shape), self.dtype)
        places = np.array([self._positions[digest] for digest in digests])
        stored = np.memmap(self._rows, self.dtype, "r", shape=(len(self), *self.shape))
        return np.asarray(stored[places])

    @contextmanager
    def _locked(self) -> "Iterator[tuple[IO[bytes], IO[bytes]]]":
        """Both files, whole, for this process alone; what others have added is known afterwards."""
        with (
            writing_cache(self._folder),
            self._rows.open("ab+") as row_file,
            self._digests.open("ab+") as digest_file,
        ):
            fcntl.flock(digest_file, fcntl.LOCK_EX)
            count = min(_length(row_file) // self._size, _length(digest_file) // DIGEST)
            for file, size in ((row_file, self._size), (digest_file, DIGEST)):
                if _length(file) > count * size:
                    file.truncate(count * size)
            self._read_digests(digest_file)
            yield row_file, digest_file

    def _read_digests(self, file: IO[bytes]) -> None:
        """Learns the digests from where the last call ended."""
        file.seek(self._digests_read * DIGEST)
        content = file.read()
        for first in range(0, len(content), DIGEST):
            self._positions[content[first : first + DIGEST]] = self._digests_read
            self._digests_read += 1


def _length(file: IO[bytes]) -> int:
    return file.seek(0, 2)


def _append(file: IO[bytes], content: bytes) -> None:
    """At the end, and on the disk when it returns."""
    file.seek(0, 2)
    file.write(content)
    file.flush()
    os.fsync(file.fileno())
