"""The store in one SQLite file, for the processes of one machine."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import ServiceError, StoreFailure, StoreFull
from serving.index.group import Bounds
from serving.index.items import Result, Vector, Write
from serving.index.link import Link
from serving.index.place import REPLACED, Place, identity
from serving.index.sql import VERSION, SqlStore, Statements, new_tables
from serving.logs import Bounded

APPLICATION_ID = 0x46574C42
"""Stands in the file's head: "FWLB"."""
BUSY_S = 5.0
"""Seconds to wait for another process that writes."""
ERASE_S = 0.1
"""Seconds to wait for readers when the log is to be erased."""
LOG_BYTES = 64_000_000
"""Size to which the log shrinks after it was larger."""
REASONS = {
    sqlite3.SQLITE_BUSY: "is locked by another program",
    sqlite3.SQLITE_LOCKED: "is locked by another program",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_NOTADB: "is damaged, or is no index",
    sqlite3.SQLITE_READONLY: "must not be written",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk failed, or is full",
}


class File:
    """One connection to the file."""

    def __init__(self, path: Path, mode: str) -> None:
        self._path = path
        before = identity(path)
        address = f"{path.absolute().as_uri()}?mode={mode}"
        self._connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._identity = identity(path)
        if before not in (None, self._identity):
            self.close()
            raise StoreFailure(REPLACED)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What one statement answers."""
        return self._connection.execute(sql, parameters).fetchall()

    def many(self, sql: str, parameters: Sequence[Sequence[object]]) -> None:
        """One statement with each of the parameters."""
        self._connection.executemany(sql, parameters)

    def close(self) -> None:
        """Rolls back what is not committed."""
        self._connection.close()

    def check_place(self) -> None:
        """Raises StoreFailure if the path leads to another file by now, which nobody but us would read."""
        if identity(self._path) != self._identity:
            raise StoreFailure(REPLACED)

    def place(self) -> str:
        """See `Statements.place`."""
        return str(self._identity)

    def is_new(self) -> bool:
        """Whether there are no tables yet; raises StoreFailure where they are not ours."""
        (application,), (version,) = self.rows("PRAGMA application_id")[0], self.rows("PRAGMA user_version")[0]
        if application == APPLICATION_ID and version == VERSION:
            return False
        if application == APPLICATION_ID:
            raise StoreFailure(f"the index's file has schema {version}, and this version of fewlabel knows {VERSION}")
        if application or version or self.rows("SELECT 1 FROM sqlite_master LIMIT 1"):
            raise StoreFailure("the index's file is another program's database")
        return True


class SqliteStore(SqlStore):
    """A `Store` in one file, and two beside it as long as it is open: `-wal`, the log, and `-shm`."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        super().__init__(bounds)
        self._path, self._place = path, Place(path)
        failures = (sqlite3.Error, OSError)
        self._reader = Link(self._to_read, failures, told)
        self._writer = Link(self._to_write, failures, told)
        self._to_erase = False
        self._log = Bounded(per_s=1)
        self._woken = threading.Event()

    def write(self, writes: Sequence[Write]) -> list[Result]:
        """See `Store.write`."""
        pending = self._to_erase
        results = super().write(writes)
        if self._to_erase:
            self._erase(0 if pending else ERASE_S)
        return results

    def wait(self, timeout_s: float) -> None:
        """See `Store.wait`: SQLite cannot tell; but to ask costs microseconds. Erases what could not be erased yet."""
        if self._woken.wait(timeout_s):
            self._woken.clear()
        if self._to_erase:
            self._erase(0)

    def wake(self) -> None:
        """See `Store.wake`."""
        self._woken.set()

    def backup(self, path: Path) -> None:
        """See `Store.backup`: a file that another `SqliteStore` opens."""
        if path.exists():
            raise StoreFailure("the backup's file exists already")
        part = path.with_name(path.name + ".part")
        self._find()
        with self._reader.use() as file:
            file.check_place()
            part.unlink(missing_ok=True)
            file.rows("VACUUM INTO ?", [str(part)])
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.rename(path)

    def close(self) -> None:
        """See `Store.close`."""
        self._leave()
        self._place.left()

    def _leave(self) -> None:
        self._reader.close()
        self._writer.close()

    def _find(self) -> bool:
        """See `Place.find`; what fails is logged."""
        try:
            return self._place.find(self._leave)
        except (StoreFailure, OSError) as error:
            failure = error if isinstance(error, StoreFailure) else told(error)
            self._log.log(logging.ERROR, str(failure))
            raise failure from error

    @contextmanager
    def _reading(self) -> Iterator[Statements | None]:
        if not self._find():
            yield None
            return
        with self._reader.use() as file:
            file.check_place()
            file.rows("BEGIN")
            if file.is_new():
                yield None
            else:
                self._place.know()
                yield file
            file.rows("COMMIT")

    @contextmanager
    def _writing(self) -> Iterator[Statements]:
        self._find()
        with self._writer.use() as file:
            file.check_place()
            file.rows("BEGIN IMMEDIATE")
            yield file
            file.rows("COMMIT")
            file.check_place()  # else nobody would find what was written
            self._place.know()
        self._find()  # as well what was just created

    def _overwritten(self) -> None:
        self._to_erase = True

    def _to_read(self) -> File:
        self._place.check_log()
        return File(self._path, "rw")

    def _to_write(self) -> File:
        self._place.check_log()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = File(self._path, "rwc")
        try:
            file.rows("PRAGMA synchronous = FULL")  # each commit is on the disk
            file.rows("PRAGMA secure_delete = ON")  # what is deleted is overwritten
            file.rows(f"PRAGMA journal_size_limit = {LOG_BYTES}")
            if file.is_new():
                _create(file)
            _start_log(file)
            self._to_erase = True  # what a killed process may have left in the log
        except BaseException:
            file.close()
            raise
        return file

    def _erase(self, timeout_s: float) -> None:
        """Empties the log, in which what was overwritten still stands, unless somebody reads; then it is tried again.

        The write is committed: no failure here may become its own.
        """
        with suppress(ServiceError):
            self._find()
            with self._writer.use() as file:
                file.check_place()
                file.rows(f"PRAGMA busy_timeout = {timeout_s * 1000:.0f}")
                ((busy, *_),) = file.rows("PRAGMA wal_checkpoint(TRUNCATE)")
                file.rows(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")
                self._to_erase = bool(busy)

    def _encoded(self, vector: Vector) -> bytes:
        return vector.astype("<f4").tobytes()

    def _decoded(self, value: bytes) -> Vector:
        return np.frombuffer(value, "<f4").astype(np.float32, copy=False)


def _create(file: File) -> None:
    """All tables or none; another process may be about to do the same."""
    file.rows("BEGIN IMMEDIATE")
    if file.is_new():
        for statement in new_tables(text="TEXT", blob="BLOB", vector="BLOB"):
            file.rows(statement)
        file.rows(f"PRAGMA application_id = {APPLICATION_ID}")
        file.rows(f"PRAGMA user_version = {VERSION}")
    file.rows("COMMIT")


def _start_log(file: File) -> None:
    """Readers then do not wait for writers. SQLite does not wait for others at this step: it is tried again."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            file.rows("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def told(error: Exception) -> ServiceError:
    """What the client reads of a failure."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreFull("the disk is full")
    return StoreFailure(f"the index's file {REASONS.get(code, 'cannot be used')}")
