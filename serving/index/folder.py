"""A person's folder of pictures: its files, and what folders or a table say of their labels. Reads no picture.

The layouts are those that training takes: `labels.csv` at the root (`path,label`) wins; else folders are classes,
`train/` and `test/` are transparent, and what lies in `unlabelled/` or in no folder has no label. Of what training
understands besides, Label Studio's own paths and lists of choices are not read here.
"""

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from models.layouts import JUNK, LABEL_COLUMNS, PATH_COLUMNS, SUFFIXES, TABLE, class_of, is_picture, splits_of
from models.names import composed, encodable, folded, shown
from serving.errors import MalformedRequest
from serving.index.items import check_label

Labels = Literal["auto", "folders", "none"]
"""Where labels are from: the table, or else folders; folders alone; nowhere."""


class FolderError(ValueError):
    """A folder, or its table of labels, cannot be read; the text says what to do."""


class File(NamedTuple):
    """One picture file."""

    id: str
    r"""Its path within the folder, with forward slashes; bytes that are no UTF-8 as `\xff`."""
    path: Path
    size: int
    """Bytes."""
    label: str | None


class Folder(NamedTuple):
    """All pictures, sorted by id, and what was left out or is odd, a line each."""

    files: list[File]
    problems: list[str]


def read_folder(root: Path, labels: Labels = "auto") -> Folder:
    """The pictures below `root`; raises FolderError where it, or its table, cannot be read."""
    left_out: list[str] = []
    found, same = _by_id(root, _walk(root, left_out))
    table = next((own_id for own_id in found if folded(own_id) == TABLE), None)
    told: dict[str, str | None] = {}
    problems = [f"left out, not followed or not readable: {name}" for name in left_out]
    problems += [f"left out, another file's name is written in the same way: {name}" for name in same]
    if labels == "auto" and table is not None:
        told, missing = _of_table(found[table], found.keys() - {table})
        problems += [f"{TABLE}: names no file of the folder: {path}" for path in missing]
    names = [own_id for own_id in sorted(found) if own_id in told or is_picture(own_id)]
    if labels == "folders" or (labels == "auto" and table is None):
        splits = splits_of(names)
        told = {name: class_of(name, splits) for name in names}
    if not names:
        raise FolderError(f"{shown(root)}: no picture in it; pictures end in {', '.join(sorted(SUFFIXES))}")
    return Folder([File(one, found[one], _size(found[one]), told.get(one)) for one in names], problems)


def _by_id(root: Path, paths: Iterable[Path]) -> tuple[dict[str, Path], list[str]]:
    r"""The files by their ids, and the names of others that come to the same id: the byte 0xff and a literal `\xff`."""
    found: dict[str, Path] = {}
    same = []
    for path in sorted(paths):  # what is literally named so comes first
        own_id = encodable(path.relative_to(root).as_posix())
        if found.setdefault(own_id, path) is not path:
            same.append(f"{shown(own_id)} (has bytes that are no UTF-8)")
    return found, same


def _walk(root: Path, left_out: list[str]) -> Iterator[Path]:
    """Every plain file but hidden ones; links lead to files within the folder, or are left out."""
    real, waiting = root.resolve(), [root]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            if folder == root:
                raise FolderError(f"{shown(root)}: cannot be read ({error.strerror})") from error
            left_out.append(f"{shown(folder.relative_to(root))} ({error.strerror})")
            continue
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith(".") or entry.name.casefold() in JUNK:
                continue
            with suppress(FileNotFoundError):  # deleted meanwhile
                if entry.is_symlink() and not _leads_to_a_file_in(real, path):
                    left_out.append(f"{shown(path.relative_to(root))} (a link)")
                elif entry.is_dir():
                    waiting.append(path)
                elif entry.is_file():
                    yield path
                else:
                    left_out.append(f"{shown(path.relative_to(root))} (no plain file)")


def _leads_to_a_file_in(real: Path, link: Path) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # leads nowhere, or in a circle
        return False
    return target.is_file() and target.is_relative_to(real)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # told when it is read
        return 0


def _of_table(path: Path, names: Iterable[str]) -> tuple[dict[str, str | None], list[str]]:
    """Labels of the files that rows name, and rows' paths that are no file's."""
    known = set(names)
    told: dict[str, str | None] = {}
    missing = []
    for line, own_id, label in _rows(path):
        if own_id not in known:
            missing.append(f"{shown(own_id)} (line {line})")
            continue
        with_label = told.get(own_id)
        if label and with_label and label != with_label:
            raise FolderError(f"{TABLE}, line {line}: {shown(own_id)} has another label above: keep one row a picture")
        told[own_id] = label or with_label
    if missing and not told:
        raise FolderError(f"{TABLE}: no row names a file of the folder, the first is {missing[0]}")
    return told, missing


def _rows(path: Path) -> Iterator[tuple[int, str, str | None]]:
    """Line, path and label of each row; raises FolderError."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(f"{TABLE}: cannot be read as UTF-8 ({error})") from error
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        header = [re.sub(r"\s+", "_", cell.strip().casefold()) for cell in next(reader, [])]
        known = PATH_COLUMNS, LABEL_COLUMNS
        where = [next((header.index(name) for name in names if name in header), -1) for names in known]
        if -1 in where:
            raise FolderError(f"{TABLE}: the first row must name the columns path and label")
        for cells in reader:
            own_path, label = (cells[column].strip() if column < len(cells) else "" for column in where)
            if own_path:
                _check(label, reader.line_num)
                own_id = own_path.replace("\\", "/").removeprefix("./")
                yield reader.line_num, own_id, composed(label) or None
    except csv.Error as error:
        raise FolderError(f"{TABLE}, line {reader.line_num}: no CSV that can be read ({error})") from error


def _check(label: str, line: int) -> None:
    try:
        check_label(label or None)
    except MalformedRequest as error:
        raise FolderError(f"{TABLE}, line {line}: {error}") from error
    if len(label.splitlines()) > 1:
        raise FolderError(f"{TABLE}, line {line}: a label of several lines: is a quotation mark missing?")
