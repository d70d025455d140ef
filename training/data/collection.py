"""A person's folder, zip or table of pictures → which file has which label. Reads no picture and writes nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from models.layouts import SUFFIXES, TABLE
from models.names import counted, encodable, folded, listed, shown
from training.data.archive import archive_reader, list_archive
from training.data.errors import DataError
from training.data.folder import MAX_BYTES, Entry, Listing, Reader, folder_reader, list_folder
from training.data.labels import read_table
from training.data.layouts import OTHER_PICTURES, by_folders, by_table
from training.data.layouts import Record as Record

HOW = f"make a folder of pictures for each class, or a {TABLE} with the columns path,label"


@dataclass(frozen=True)
class Collection:
    """All picture files of one source."""

    root: Path
    """The folder or the zip."""
    records: tuple[Record, ...]
    """Sorted by name."""
    problems: tuple[str, ...]
    """What was left out or is odd, a line each."""
    notes: tuple[str, ...] = ()
    """How the source was understood, where that is not plain; nothing to do."""
    entries: Mapping[str, Entry] = field(repr=False, compare=False, default_factory=dict)
    """Name → file."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({record.label for record in self.records if record.label is not None}))

    def read(self, name: str) -> bytes:
        """The content of one file, 100 MB at most; raises DataError, naming it, where it cannot be read."""
        return _content(self._reader, self.entries[name])

    @cached_property
    def _reader(self) -> Reader:
        return reader(self.root)


def reader(root: Path) -> Reader:
    """Reads files of a folder or a zip by their entries' keys."""
    return folder_reader(root) if root.is_dir() else archive_reader(root)


def _content(read: Reader, entry: Entry) -> bytes:
    try:
        return read(entry.key)
    except DataError as error:
        raise DataError(f"{shown(entry.name)}: {error}") from error


def collect(source: Path, *, labels_needed: bool = True) -> Collection:
    """The pictures of a folder, of a zip, or those around a table of labels (`.csv`), with their labels.

    Raises DataError, saying what to do, where there is no picture or, where labels are needed, no two classes have one;
    where they are not, a note tells that.
    """
    root, table = _located(source)
    listing = list_folder(root) if root.is_dir() else list_archive(root)
    entries = {entry.name: entry for entry in listing.entries}
    if table is None:
        table = next((name for name in entries if folded(name) == TABLE), None)
    if table is None:
        layout = by_folders(entries)
    else:
        if table not in entries:
            raise DataError(f"{shown(table)}: hidden, or a link out of its folder: give it another name or place")
        layout = by_table(read_table(_content(reader(root), entries[table]), table), entries, table, root)
    records = sorted(layout.records, key=lambda record: record.name)
    _check_pictures(records, listing, source)
    lacking = _lacking(records)
    if lacking and labels_needed:
        raise DataError(". ".join([f"{shown(str(source))}: {lacking}", *listing.problems, *layout.problems]))
    other_pictures, others = _left_out(entries, records, table)
    problems = [*listing.problems, *layout.problems, *other_pictures, *_too_large(entries, records), *_alike(records)]
    notes = [*layout.notes, *others, *([lacking] if lacking else [])]
    if listing.hidden:
        notes.append(f"{counted(len(listing.hidden), 'hidden name')} left out: {listed(listing.hidden)}")
    return Collection(root, tuple(records), tuple(problems), tuple(notes), entries)


def _located(source: Path) -> tuple[Path, str | None]:
    """Folder or zip, and the table where it is given itself."""
    text = shown(str(source))
    if source.is_dir():
        return source, None
    if not source.exists():
        raise DataError(f"{text}: there is no such folder or file; {HOW}")
    if not source.is_file():
        raise DataError(f"{text}: neither a folder nor a plain file; {HOW}")
    if source.suffix.casefold() in (".csv", ".tsv"):
        return source.parent, encodable(source.name)
    if source.suffix.casefold() == ".zip":
        return source, None
    raise DataError(f"{text}: neither a folder, nor a .zip or .csv file; unpack other archives first")


def _check_pictures(records: Sequence[Record], listing: Listing, source: Path) -> None:
    """Raises DataError where there are none."""
    if not records:
        found = Counter(PurePosixPath(entry.name).suffix.casefold() for entry in listing.entries).most_common(3)
        suffixes = ", ".join(f"{shown(suffix) or 'no suffix'} ({count:,})" for suffix, count in found) or "nothing"
        ends = ", ".join(sorted(SUFFIXES))
        why = f"{shown(str(source))}: no picture in it, only {suffixes}; pictures end in {ends}"
        raise DataError(". ".join([why, *listing.problems]))


def _lacking(records: Sequence[Record]) -> str | None:
    """Why labels do not suffice for a training, and what to do."""
    classes = {record.label for record in records if record.label and not record.held_out}
    if not classes:
        return f"none of its {counted(len(records), 'picture')} to train on has a label: {HOW}"
    if len(classes) == 1:
        only = f"only one class, '{shown(classes.pop())}', has labels; there is nothing to tell apart"
        return f"{only}. {HOW.capitalize()}; if the classes lie one folder deeper, give that folder"
    return None


def _left_out(entries: Iterable[str], records: list[Record], table: str | None) -> tuple[list[str], list[str]]:
    """Problems and notes about files that were not taken for pictures."""
    taken = {record.name for record in records} | {table}
    left = [name for name in entries if name not in taken]
    pictures = [name for name in left if PurePosixPath(name).suffix.casefold() in OTHER_PICTURES]
    others = [name for name in left if name not in set(pictures)]
    problem = f"{counted(len(pictures), 'file')} of a format that is not read: save as JPEG or PNG: {listed(pictures)}"
    note = f"{counted(len(others), 'file')} left out, no pictures by the ends of their names: {listed(others)}"
    return [problem] * bool(pictures), [note] * bool(others)


def _too_large(entries: Mapping[str, Entry], records: list[Record]) -> Iterator[str]:
    large = [record.name for record in records if entries[record.name].size > MAX_BYTES]
    if large:
        yield f"{counted(len(large), 'file')} larger than {MAX_BYTES // 1_000_000} MB, not read: {listed(large)}"


def _alike(records: list[Record]) -> Iterator[str]:
    """Class names that a person may take for one."""
    groups = defaultdict(set)
    for record in records:
        if record.label:
            groups[folded(record.label)].add(record.label)
    for names in groups.values():
        if len(names) > 1:
            yield f"classes whose names differ only in upper and lower case: {listed(sorted(names))}: one class?"
