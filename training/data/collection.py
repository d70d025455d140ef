"""A person's folder, zip or table of pictures → which file has which label. Reads no picture and writes nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from training.data.archive import archive_reader, list_archive
from training.data.errors import DataError
from training.data.folder import MAX_BYTES, Entry, Listing, Reader, folder_reader, list_folder
from training.data.labels import Row, Table, read_table
from training.data.matching import Matches
from training.data.names import composed, counted, encodable, folded, listed, shown

TABLE = "labels.csv"
SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
}  # fmt: skip
"""Of files that are taken for pictures, in any case."""
TRAIN, TEST, UNLABELLED = "train", "test", {"unlabelled", "unlabeled"}
VALIDATION = {"val", "valid", "validation", "dev"}
"""Folders beside `train` that are trained on like it."""
HOW = f"make a folder of pictures for each class, or a {TABLE} with the columns path,label"


@dataclass(frozen=True)
class Record:
    """One picture file."""

    name: str
    """Its path below the root, with forward slashes, as its owner knows it; always encodable."""
    label: str | None
    """None where it is not known."""
    held_out: bool
    """Whether it belongs to the test set."""


@dataclass(frozen=True)
class Collection:
    """All picture files of one source."""

    root: Path
    """The folder or the zip."""
    records: tuple[Record, ...]
    """Sorted by name."""
    problems: tuple[str, ...]
    """What was left out or is odd, a line each."""
    entries: Mapping[str, Entry] = field(repr=False, compare=False)
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


def collect(source: Path) -> Collection:
    """The pictures of a folder, of a zip, or those around a table of labels (`.csv`), with their labels.

    Raises DataError, saying what to do, where there is nothing to train on.
    """
    root, table = _located(source)
    listing = list_folder(root) if root.is_dir() else list_archive(root)
    entries = {entry.name: entry for entry in listing.entries}
    if table is None:
        table = next((name for name in entries if folded(name) == TABLE), None)
    if table is None:
        pictures = [name for name in entries if _is_picture(name)]
        records, problems = _by_folders(pictures), [*_other_tables(entries), *_odd_folders(pictures)]
    else:
        if table not in entries:
            raise DataError(f"{shown(table)}: hidden, or a link out of its folder: give it another name or place")
        content = _content(reader(root), entries[table])
        records, problems = _by_table(read_table(content, table), entries, table, root)
    records.sort(key=lambda record: record.name)
    _check(records, listing, source)
    problems = [*listing.problems, *problems, *_left_out(entries, records, table), *_too_large(entries, records)]
    return Collection(root, tuple(records), (*problems, *_alike(records)), entries)


def _located(source: Path) -> tuple[Path, str | None]:
    """Folder or zip, and the table where it is given itself."""
    text = shown(str(source))
    if source.is_dir():
        return source, None
    if not source.exists():
        raise DataError(f"{text}: there is no such folder or file; {HOW}")
    if source.suffix.casefold() in (".csv", ".tsv"):
        return source.parent, encodable(source.name)
    if source.suffix.casefold() == ".zip":
        return source, None
    raise DataError(f"{text}: neither a folder, nor a .zip or .csv file; unpack other archives first")


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.casefold() in SUFFIXES


def _by_folders(names: Sequence[str]) -> list[Record]:
    splits = _splits(names)
    return [Record(name, _label(name, splits), folded(name.split("/")[0]) == TEST and "/" in name) for name in names]


def _splits(names: Iterable[str]) -> set[str]:
    """Top folders, folded, below which the classes are."""
    tops = {folded(name.split("/")[0]) for name in names if "/" in name}
    return {TRAIN, TEST} | (VALIDATION if TRAIN in tops else set())


def _class_folder(name: str, splits: set[str]) -> str | None:
    """The first folder, or the second where the first one is a split."""
    folders = name.split("/")[:-1]
    if folders and folded(folders[0]) in splits:
        folders = folders[1:]
    return folders[0] if folders and folded(folders[0]) not in UNLABELLED else None


def _label(name: str, splits: set[str]) -> str | None:
    return composed(_class_folder(name, splits) or "").strip() or None


def _odd_folders(names: Sequence[str]) -> Iterator[str]:
    """A split that might be meant as a class, the other way round, and folders that are one class."""
    folders, splits = {tuple(name.split("/")[:-1]) for name in names}, _splits(names)
    tops = {parts[0] for parts in folders if parts}
    for top in sorted(tops):
        flat = all(len(parts) == 1 for parts in folders if parts and parts[0] == top)
        if folded(top) in (TRAIN, TEST) and flat and len(tops) > 1:
            yield f"{shown(top)}/ holds pictures but no folders of classes: they are taken as unlabelled"
        if folded(top) in VALIDATION & splits:
            yield f"{shown(top)}/ is trained on like {TRAIN}/: only {TEST}/ is held out"
    spellings = defaultdict(set)
    for name in names:
        spellings[_label(name, splits)].add(_class_folder(name, splits))
    for label, several in spellings.items():
        if label and len(several) > 1:
            yield f"{len(several)} folders' names look the same, {shown(label)}: taken as one class"


def _other_tables(entries: Iterable[str]) -> Iterator[str]:
    tables = [name for name in entries if "/" not in name and name.casefold().endswith(".csv")]
    if tables:
        yield f"{listed(tables)} is not read: call it {TABLE}, or give it as DATA, if it holds the labels"


def _by_table(table: Table, entries: Mapping[str, Entry], name: str, root: Path) -> tuple[list[Record], list[str]]:
    """Labels of the rows for the files they name; pictures that none names are unlabelled."""
    matches = Matches((entry for entry in entries if entry != name), root.resolve().name)
    rows, missing, ambiguous = defaultdict[str, list[Row]](list), list[str](), list[str]()
    for row in table.rows:
        found = matches.find(row.paths)
        if len(found) == 1:
            rows[found[0]].append(row)
        else:
            (ambiguous if found else missing).append(f"{row.paths[0]} (line {row.line})")
    if table.rows and not rows:
        raise DataError(f"{shown(name)}: no row names a file in {shown(str(root))}: {listed(missing + ambiguous)}")
    _check_contradictions(rows, name)
    files = [file for file in entries if file in rows or _is_picture(file)]
    below_test = {file for file in files if not table.has_split and folded(file.partition("/")[0]) == TEST}
    records = [_by_rows(file, rows.get(file, []), file in below_test) for file in files]
    problems = list(table.problems)
    if below_test:
        problems.append(f"{shown(name)} has no column split: {counted(len(below_test), 'picture')} in {TEST}/ held out")
    if missing:
        problems.append(f"{shown(name)}: {counted(len(missing), 'row')} without a file: {listed(missing)}")
    if ambiguous:
        problems.append(f"{shown(name)}: {counted(len(ambiguous), 'row')} with several files: {listed(ambiguous)}")
    return records, problems


def _by_rows(name: str, rows: list[Row], held_out: bool) -> Record:
    label = next((row.label for row in rows if row.label), None)
    return Record(name, label, held_out or any(row.held_out for row in rows))


def _check_contradictions(rows: Mapping[str, list[Row]], name: str) -> None:
    wrong = []
    for file, about in sorted(rows.items()):
        labels = {row.label: row.line for row in reversed(about) if row.label}
        if len(labels) > 1:
            told = " and ".join(f"'{shown(label)}' (line {line})" for label, line in sorted(labels.items())[:2])
            wrong.append(f"{shown(file)} is {told}")
    if wrong:
        more = f", and {counted(len(wrong) - 1, 'picture')} more" if len(wrong) > 1 else ""
        raise DataError(f"{shown(name)}: labels contradict each other: {wrong[0]}{more}: keep one row a picture")


def _check(records: list[Record], listing: Listing, source: Path) -> None:
    """Raises DataError where no training is possible."""
    text, classes = shown(str(source)), {record.label for record in records if record.label and not record.held_out}
    if not records:
        found = Counter(PurePosixPath(entry.name).suffix.casefold() for entry in listing.entries).most_common(3)
        suffixes = ", ".join(f"{shown(suffix) or 'no suffix'} ({count:,})" for suffix, count in found) or "nothing"
        raise DataError(f"{text}: no picture in it, only {suffixes}; pictures end in {', '.join(sorted(SUFFIXES))}")
    if not classes:
        raise DataError(f"{text}: none of its {counted(len(records), 'picture')} to train on has a label: {HOW}")
    if len(classes) == 1:
        only = f"only one class, '{shown(classes.pop() or '')}', has labels; there is nothing to tell apart"
        raise DataError(f"{text}: {only}. {HOW.capitalize()}; if the classes lie one folder deeper, give that folder")


def _left_out(entries: Iterable[str], records: list[Record], table: str | None) -> Iterator[str]:
    taken = {record.name for record in records} | {table}
    left = [name for name in entries if name not in taken]
    if left:
        yield f"{counted(len(left), 'file')} left out, no pictures by the ends of their names: {listed(left)}"


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
