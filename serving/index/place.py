"""Whether the file at a path is still the one that was used. Knows no database, but that a log lies beside the file."""

import threading
from collections.abc import Callable
from pathlib import Path

from serving.errors import StoreFailure

Identity = tuple[int, int]
"""Device and inode."""
GONE = "the index's file is gone; put it back, or start again to begin a new index"
REPLACED = "the index's file was replaced while it was in use; try again"
FOREIGN = "the index's file was replaced, but the log of the former one lies beside it; remove the files -wal and -shm"


class Place:
    """The path of a file, and what was seen there."""

    def __init__(self, path: Path) -> None:
        self._path, self._log_path = path, path.with_name(path.name + "-wal")
        self._lock = threading.Lock()
        self._known = False  # whether there ever was an index
        self._used: Identity | None = None  # the file that connections are open to
        self._log: Identity | None = None  # its log, as long as that holds anything
        self._foreign: Identity | None = None  # the log of a file that is no longer there

    def find(self, leave: Callable[[], None]) -> bool:
        """Whether there is a file: once it was known, it is a StoreFailure that there is none.

        Args:
            leave: closes all connections. Called before the first StoreFailure about another file in its place.
        """
        with self._lock:
            here, log = identity(self._path), _log_identity(self._log_path)
            if here is None:
                if self._known:
                    raise StoreFailure(GONE)
                self._used = self._log = None  # what was there was no index, and somebody took it away
                return False
            if self._used in (None, here):
                self._used, self._log = here, log
                return True
            if self._log in (None, log):
                self._foreign = log  # before anybody can open the new file
            self._used = self._log = None
            leave()
            raise StoreFailure(REPLACED)

    def know(self) -> None:
        """The file was used, and is an index: without it there is no other."""
        self._known = True

    def check_log(self) -> None:
        """Raises StoreFailure where a log would be taken for that of a file that it does not belong to."""
        if self._foreign is not None:
            if _log_identity(self._log_path) == self._foreign:
                raise StoreFailure(FOREIGN)
            self._foreign = None

    def left(self) -> None:
        """All connections were closed: another file may come."""
        with self._lock:
            self._used = self._log = None


def identity(path: Path) -> Identity | None:
    """Of the file at a path; None where there is none. Raises OSError where nobody can tell."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def _log_identity(path: Path) -> Identity | None:
    """Likewise; None where it is empty."""
    try:
        return identity(path) if path.stat().st_size else None
    except (FileNotFoundError, NotADirectoryError):
        return None
