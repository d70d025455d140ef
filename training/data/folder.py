"""The files of a folder, and what of it is left alone. Nothing is ever written there."""

import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from models.layouts import JUNK
from models.names import counted, encodable, listed, shown
from training.data.errors import DataError

MAX_BYTES = 100_000_000
"""Largest file that is read."""
TOO_LARGE = f"larger than {MAX_BYTES // 1_000_000} MB, which no picture needs: scale it down"


class Entry(NamedTuple):
    """One file."""

    name: str
    """Its path below the root, with forward slashes, as a person knows it."""
    key: str
    """What a reader of the same source takes."""
    size: int
    stamp: str
    """Another one means that the content may be another."""


class Listing(NamedTuple):
    """All files of a source, sorted by name, and what was left out."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    hidden: tuple[str, ...]
    """Names of hidden files and folders, as they are told."""


Reader = Callable[[str], bytes]
"""Key → content; raises DataError, which tells the reason only, for what cannot be read."""


def list_folder(root: Path) -> Listing:
    """Every file below `root` but hidden ones; raises DataError when the folder itself cannot be read."""
    walk = _Walk(root)
    walk.all_below()
    entries, same = by_name(walk.found)
    return Listing(tuple(sorted(entries)), (*walk.problems(), *same), tuple(sorted(walk.hidden)))


def by_name(found: Iterable[Entry]) -> tuple[Iterable[Entry], list[str]]:
    """The last entry of each name, and a line about the others."""
    names: dict[str, Entry] = {}
    same = []
    for entry in found:
        if entry.name in names:
            same.append(entry.name)
        names[entry.name] = entry
    why = "left out: another file has the same name"
    return names.values(), [f"{counted(len(same), 'file')} {why}: {listed(same)}"] * bool(same)


class _Walk:
    """One walk through a folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.real = root, root.resolve()
        self.found: list[Entry] = []
        self.unread: list[str] = []
        self.hidden: list[str] = []
        self.links: list[str] = []
        self.special: list[str] = []

    def all_below(self) -> None:
        """Fills the lists."""
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(f"{self.root}/{below}") as entries:
                    for entry in entries:
                        key = f"{below}/{entry.name}" if below else entry.name
                        with suppress(FileNotFoundError):  # deleted meanwhile
                            if self._take(entry, key):
                                waiting.append(key)
            except OSError as error:
                if not below:
                    raise DataError(f"{shown(str(self.root))}: cannot be read ({error.strerror})") from error
                self.unread.append(f"{below} ({error.strerror})")

    def _take(self, entry: "os.DirEntry[str]", key: str) -> bool:
        """Puts one entry where it belongs; True for a folder to look into."""
        if entry.name.casefold() in JUNK or entry.name == ".DS_Store":
            return False
        if entry.name.startswith("."):
            self.hidden.append(key)
        elif entry.is_symlink() and not self._leads_to_a_file_here(entry):
            self.links.append(key)
        elif entry.is_dir():
            return True
        elif not entry.is_file():
            self.special.append(key)
        else:
            status = entry.stat()
            self.found.append(Entry(encodable(key), key, status.st_size, f"{status.st_size}:{status.st_mtime_ns}"))
        return False

    def _leads_to_a_file_here(self, link: "os.DirEntry[str]") -> bool:
        try:
            target = Path(link.path).resolve(strict=True)
        except (OSError, RuntimeError):  # leads nowhere, or in a circle
            return False
        return target.is_file() and target.is_relative_to(self.real)

    def problems(self) -> tuple[str, ...]:
        """What was left out, a line each."""
        told = {
            "cannot be read: give yourself the right to": self.unread,
            "left out: symbolic links to folders, to nothing or out of the folder are not followed": self.links,
            "left out: no plain files": self.special,
        }
        return tuple(
            f"{counted(len(keys), 'name')} {why}: {listed(sorted(keys))}" for why, keys in told.items() if keys
        )


def folder_reader(root: Path) -> Reader:
    """Reads files below `root`."""

    def read(key: str) -> bytes:
        try:
            with open(f"{root}/{key}", "rb", opener=_unwaiting) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise DataError("no plain file any more")
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})") from error
        if len(content) > MAX_BYTES:
            raise DataError(TOO_LARGE)
        return content

    return read


def _unwaiting(path: str, flags: int) -> int:
    """Opens a file; a pipe that has taken its place does not keep anyone waiting."""
    return os.open(path, flags | os.O_NONBLOCK)
