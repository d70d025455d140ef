"""A table of labels: CSV as people, spreadsheets and Label Studio write it → rows. Knows nothing about files."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from models.layouts import LABEL_COLUMNS, PATH_COLUMNS
from models.names import composed, counted, listed, shown
from training.data.errors import DataError

SPLIT_COLUMN = "split"
"""In any case."""
HELD_OUT = {"test", "testing", "holdout", "held_out", "held-out"}
TRAINED_ON = {"", "train", "training"}
DELIMITERS = ",;\t"
END = "\0"
"""Stands behind the last row while a table is read; in no text."""
SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""A first line by which Excel is told the delimiter."""
MAX_DEPTH = 50
"""Folders above a file that are tried."""
UPLOADED = re.compile(r".*/data/upload/(?:\d+/)?([0-9a-f]{8}-(.+))")
LOCAL = re.compile(r".*/data/local-files/\?d=(.+)")
"""Label Studio's addresses of uploaded files, which get a random prefix, and of files on its own disk."""


class Row(NamedTuple):
    """What a row says of one file."""

    line: int
    path: str
    """As the table says."""
    label: str | None
    held_out: bool

    @property
    def paths(self) -> tuple[str, ...]:
        """How the file may be called, likeliest first."""
        return possible_paths(self.path)


@dataclass(frozen=True)
class Table:
    """All rows, whether they tell test images apart, and what is odd about them."""

    rows: tuple[Row, ...]
    has_split: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    """How it was understood."""


def read_table(content: bytes, name: str) -> Table:
    """The rows of a CSV file; raises DataError, naming the file, where columns are missing or it cannot be read."""
    text, notes = _decoded(content, name)
    rows = _cells(text, name)
    _, header = next(rows, (1, []))
    columns, odd = _Columns(header, name), _Odd()
    read = tuple(columns.row(cells, line, odd) for line, cells in rows)
    return Table(read, columns.split is not None, tuple(odd.problems(name)), (*notes, *odd.notes(name)))


def _cells(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its first line."""
    chosen = SEPARATOR_LINE.match(text)
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = chosen[1] if chosen else max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(f"{text}\n{END}", newline=""), delimiter=delimiter, skipinitialspace=True)
    line = 1
    try:
        for number, cells in enumerate(reader):
            if END in cells[-1:]:
                return
            if END in "".join(cells[-1:]):
                raise DataError(f"{shown(name)}, line {line}: a quotation mark has no second one")
            if any(cell.strip() for cell in cells) and not (chosen and number == 0):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{shown(name)}, line {line}: no CSV that can be read ({error})") from error


def _decoded(content: bytes, name: str) -> tuple[str, list[str]]:
    """Text of the encodings that spreadsheets save."""
    wide, notes = content.startswith((b"\xff\xfe", b"\xfe\xff")), []
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
        notes.append(f"{shown(name)} is no UTF-8 and was read as Windows-1252: save it as UTF-8 if names look wrong")
    if END in text:
        raise DataError(f"{shown(name)}: no text that can be read: save it as CSV in UTF-8")
    return text, notes


class _Odd:
    """What rows say that is understood in part; lists of line numbers."""

    def __init__(self) -> None:
        self.several: list[str] = []
        self.splits: list[str] = []

    def problems(self, name: str) -> Iterator[str]:
        if self.several:
            taken = f"{counted(len(self.several), 'row')} with several labels, taken as unlabelled"
            yield f"{shown(name)}: {taken}: {listed(self.several)}"

    def notes(self, name: str) -> Iterator[str]:
        if self.splits:
            words = list(dict.fromkeys(self.splits))
            yield f"{shown(name)}: {counted(len(self.splits), 'row')} of the split {listed(words)} are trained on"


class _Columns:
    """Where in a row things stand."""

    def __init__(self, header: Sequence[str], name: str) -> None:
        names = [re.sub(r"\s+", "_", cell.strip().casefold()) for cell in header]

        def first(*known: str) -> int | None:
            return next((names.index(one) for one in known if one in names), None)

        path, label, self.split = first(*PATH_COLUMNS), first(*LABEL_COLUMNS), first(SPLIT_COLUMN)
        if path is None or label is None:
            lacking, known = ("path", PATH_COLUMNS) if path is None else ("label", LABEL_COLUMNS)
            found = f"its first row is {listed(list(header), 8)}" if any(header) else "it is empty"
            wanted = "the first row must name the columns, for example path,label,split"
            raise DataError(f"{shown(name)}: no column {lacking} (or {', '.join(known[1:])}); {found}: {wanted}")
        self.path, self.label, self.name = path, label, name

    def row(self, cells: Sequence[str], line: int, odd: _Odd) -> Row:
        """One row; what is odd about it is noted."""

        def cell(column: int | None) -> str:
            return cells[column].strip() if column is not None and column < len(cells) else ""

        labels, split = _labels(cell(self.label)), cell(self.split).casefold()
        if len(labels) > 1:
            odd.several.append(f"line {line}")
        if split not in HELD_OUT | TRAINED_ON:
            odd.splits.append(split)
        label = composed(labels[0]) if len(labels) == 1 else None
        if label and len(label.splitlines()) > 1:
            raise DataError(f"{shown(self.name)}, line {line}: a label of several lines: is a quotation mark missing?")
        return Row(line, cell(self.path), label, split in HELD_OUT)


def _labels(cell: str) -> list[str]:
    """The label in a cell, or those in Label Studio's `{"choices": ["cat", "dog"]}` or `["cat", "dog"]`."""
    if cell.startswith(("{", "[")):
        try:
            value = json.loads(cell)
            choices = value["choices"] if isinstance(value, dict) else value
            choices = [choices] if isinstance(choices, str) else choices or []
            return [_whole(str(choice)).strip() for choice in choices if choice is not None]
        except (KeyError, ValueError, TypeError, RecursionError):  # a label that only begins like JSON
            pass
    return [cell] if cell else []


def _whole(text: str) -> str:
    """JSON can say halves of characters, which no file takes."""
    return text.encode("utf-8", "backslashreplace").decode()


def possible_paths(value: str) -> tuple[str, ...]:
    """How the file that a table calls `value` may be called below the root, likeliest first."""
    path = value.replace("\\", "/").removeprefix("./")
    if uploaded := UPLOADED.fullmatch(path):
        return path, unquote(uploaded[1]), unquote(uploaded[2])
    if local := LOCAL.fullmatch(path):
        return path, *_shorter(unquote(local[1]).lstrip("/"))
    if re.match(r"[a-zA-Z]:/|/|[a-z0-9]+://", path):  # from the root of a disk or a server
        tail = path.partition("://")[2] or path
        return path, *_shorter(unquote(tail) if "://" in path else tail.lstrip("/"))
    return (path,)


def _shorter(path: str) -> Iterator[str]:
    """The path, and what is left of it without its first folders; the last ones of very many."""
    parts = [part for part in path.split("/") if part][-MAX_DEPTH:]
    yield from ("/".join(parts[first:]) for first in range(len(parts)))
