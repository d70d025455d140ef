"""The files of a zip, read in place; what is built to fill a disk or to leave a folder is refused.

Nothing is ever unpacked to disk.
"""

import lzma
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

from models.layouts import JUNK
from models.names import counted, listed, shown
from training.data.errors import DataError
from training.data.folder import MAX_BYTES, TOO_LARGE, Entry, Listing, Reader, by_name

MAX_MEMBERS = 1_000_000
MAX_TOTAL_BYTES = 100_000_000_000
"""Of all files of a zip, unpacked."""
MAX_RATIO = 200
"""How many times the zip's own size that may be: pictures are compressed already, flat BMP files shrink to a 100th."""
ALWAYS_BYTES = 100_000_000
"""Unpacked bytes that no zip is too small for."""
UTF8_NAME, ENCRYPTED = 0x800, 0x1
"""Flags of a member (APPNOTE.TXT, section 4.4.4)."""
KEEPS_ITS_MEANING = {"train", "test", "unlabelled", "unlabeled"}
"""Top folders that are no mere wrapping."""


def list_archive(path: Path) -> Listing:
    """Every file of the zip but hidden ones; raises DataError where it is damaged or out of bounds."""
    with _opened(path) as archive:
        members = archive.infolist()
    _check_bounds(path, members)
    stamp = path.stat().st_mtime_ns
    refused, links, hidden = list[str](), list[str](), list[str]()
    found: list[Entry] = []
    for position, member in enumerate(members):
        name = _name(member)
        parts = PurePosixPath(name).parts
        if member.is_dir() or not parts or any(part.casefold() in JUNK or part == ".DS_Store" for part in parts):
            continue
        if _leads_elsewhere(name):
            refused.append(name)
        elif stat.S_ISLNK(member.external_attr >> 16):
            links.append(name)
        elif any(part.startswith(".") for part in parts):
            hidden.append(name)
        else:
            name = "/".join(parts)
            key = f"{position}:{member.CRC}"
            found.append(Entry(name, key, member.file_size, f"{member.file_size}:{member.CRC}:{stamp}"))
    told = {"refused: they lead out of the zip": refused, "left out: symbolic links": links}
    problems = (f"{counted(len(names), 'name')} {why}: {listed(names)}" for why, names in told.items() if names)
    entries, same = by_name(found)
    return Listing(tuple(sorted(_unwrapped(list(entries)))), (*problems, *same), tuple(hidden))


def archive_reader(path: Path) -> Reader:
    """Reads files of the zip, by their position in it and the CRC that stands there."""
    archive = _opened(path)
    members = {f"{position}:{member.CRC}": member for position, member in enumerate(archive.infolist())}

    def read(key: str) -> bytes:
        member = members.get(key)
        if member is None:
            raise DataError("the zip is another one by now: run again")
        if member.file_size > MAX_BYTES:
            raise DataError(TOO_LARGE)
        try:
            return archive.read(member)  # no more than `file_size`
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError) as error:
            raise DataError(f"cannot be read from the zip ({error})") from error

    return read


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise DataError(f"{shown(str(path))}: cannot be read ({error.strerror})") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(f"{shown(str(path))}: no zip that can be read ({error}); make it again") from error


def _check_bounds(path: Path, members: list[zipfile.ZipInfo]) -> None:
    total, most = sum(member.file_size for member in members), max(ALWAYS_BYTES, MAX_RATIO * path.stat().st_size)
    instead = "unpack it and give the folder instead"
    if len(members) > MAX_MEMBERS:
        raise DataError(f"{path}: {len(members):,} files, more than {MAX_MEMBERS:,}: {instead}")
    if total > MAX_TOTAL_BYTES:
        raise DataError(f"{path}: {total:,} bytes unpacked, more than {MAX_TOTAL_BYTES:,}: {instead}")
    if total > most:
        raise DataError(f"{path}: {total:,} bytes unpacked, more than {MAX_RATIO} times its size: {instead}")
    if locked := [member.filename for member in members if member.flag_bits & ENCRYPTED]:
        raise DataError(f"{path}: {listed(locked)} need a password: {instead}")


def _name(member: zipfile.ZipInfo) -> str:
    """The member's path; many programs write UTF-8 without saying so, which the standard reads as code page 437."""
    name = member.filename
    if not member.flag_bits & UTF8_NAME:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _leads_elsewhere(name: str) -> bool:
    return name.startswith("/") or bool(PureWindowsPath(name).drive) or ".." in PurePosixPath(name).parts


def _unwrapped(found: Sequence[Entry]) -> Iterator[Entry]:
    """The files without the one folder around all of them, if there is one."""
    tops = Counter(entry.name.partition("/")[0] if "/" in entry.name else "" for entry in found)
    top = next(iter(tops), "")
    wrapped = len(tops) == 1 and top and top.casefold() not in KEEPS_ITS_MEANING
    for entry in found:
        yield entry._replace(name=entry.name.removeprefix(f"{top}/")) if wrapped else entry
