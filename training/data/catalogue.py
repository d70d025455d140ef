"""What is known of files from earlier runs, in one SQLite file: a second run neither reads nor decodes them.

A file is taken for the same while its place, size and time of change are; a content by its SHA-256.
"""

import ast
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import models.pictures
from training.data import child
from training.data.collection import Collection
from training.data.errors import MAKE_ROOM, DataError, writing_cache
from training.data.info import FileInfo

TABLES = """
create table if not exists infos (
    digest, bytes, format, mode, width, height, error, gray, pixels, primary key (digest)
) without rowid;
create table if not exists files (root, name, stamp, digest, primary key (root, name)) without rowid;
"""
WAIT_S = 60.0
"""How long another run that writes at the same time is waited for."""
DECODERS = ("pillow", "opencv-python-headless", "numpy")


@cache
def code() -> str:
    """Twelve digits that are others when the same file might give other pixels: a cache's folder is named by them."""
    digest = hashlib.sha256()
    for path in sorted([*Path(models.pictures.__path__[0]).glob("*.py"), Path(child.__file__)]):
        digest.update(ast.dump(ast.parse(path.read_text(encoding="utf-8"))).encode())
    digest.update(" ".join(version(name) for name in DECODERS).encode())
    return digest.hexdigest()[:12]


class Catalogue:
    """Name → FileInfo of one collection; a context."""

    def __init__(self, folder: Path, collection: Collection) -> None:
        with writing_cache(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._root, self._entries = str(collection.root.resolve()).encode(errors="backslashreplace"), collection.entries
        self._path = folder / "files.sqlite"
        with self._using():
            self._base = sqlite3.connect(self._path, timeout=WAIT_S)
            self._base.executescript(TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def infos(self) -> Mapping[str, FileInfo]:
        """Of the files that have not changed."""
        with self._using():
            rows = self._base.execute(
                "select name, stamp, digest, bytes, format, mode, width, height, error, gray, pixels"
                " from files join infos using (digest) where root = ?",
                (self._root,),
            ).fetchall()
        found = {}
        for name, stamp, *values in rows:
            if (entry := self._entries.get(name)) and entry.stamp == stamp:
                found[name] = _info(values)
        return found

    def contents(self) -> Mapping[bytes, FileInfo]:
        """All that are known, by digest."""
        query = "select digest, bytes, format, mode, width, height, error, gray, pixels from infos"
        with self._using():
            rows = self._base.execute(query).fetchall()
        return {row[0]: _info(row) for row in rows}

    def add(self, found: Iterable[tuple[str, FileInfo]]) -> None:
        """Keeps what was found of files, by name."""
        found = [(name, info) for name, info in found if info.digest]
        files = ((self._root, name, self._entries[name].stamp, info.digest) for name, info in found)
        with self._using(), self._base:
            infos = (astuple(info) for _, info in found)
            self._base.executemany("insert or ignore into infos values (?, ?, ?, ?, ?, ?, ?, ?, ?)", infos)
            self._base.executemany("insert or replace into files values (?, ?, ?, ?)", files)

    @contextmanager
    def _using(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            disk = isinstance(error, sqlite3.OperationalError)  # it is full, read-only, …
            advice = MAKE_ROOM if disk else "delete it and run again"
            raise DataError(f"{self._path}: cannot be used ({error}): {advice}") from error


def _info(row: Sequence[Any]) -> FileInfo:
    digest, size, form, mode, width, height, error, gray, pixels = row
    return FileInfo(digest, size, form, mode, width, height, error, bool(gray), pixels)
