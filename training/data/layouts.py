"""Folders of classes, or a table of labels → what is known of each picture file. Knows names only."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from models.layouts import TABLE, TEST, TRAIN, VALIDATION, class_folder, class_of, is_picture, splits_of
from models.names import counted, folded, listed, shown
from training.data.errors import DataError
from training.data.labels import Row, Table
from training.data.matching import Matches

OTHER_PICTURES = {
    ".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".psd", ".xcf", ".ppm", ".pgm", ".dcm", ".nef", ".cr2", ".cr3",
    ".arw", ".dng", ".raw", ".pdf", ".mp4", ".mov", ".avi",
}  # fmt: skip
"""Suffixes of pictures that are not read: leaving them out is worth more than a note."""


@dataclass(frozen=True)
class Record:
    """One picture file."""

    name: str
    """Its path below the root, with forward slashes, as its owner knows it; always encodable."""
    label: str | None
    """None where it is not known."""
    held_out: bool
    """Whether it belongs to the test set."""


class Layout(NamedTuple):
    """What folders or a table say."""

    records: list[Record]
    problems: list[str]
    notes: list[str]


def by_folders(files: Iterable[str]) -> Layout:
    """Folders are classes, below `train/` and `test/` too; what lies in none is unlabelled."""
    names = [name for name in files if is_picture(name)]
    splits = splits_of(names)
    records = [
        Record(name, class_of(name, splits), folded(name.split("/")[0]) == TEST and "/" in name) for name in names
    ]
    tops = sorted({name.split("/")[0] for name in names if "/" in name})
    trained_on = [top for top in tops if folded(top) in VALIDATION & splits]
    told = (f"{shown(top)}/ is trained on like {TRAIN}/: only {TEST}/ is held out" for top in trained_on)
    return Layout(records, list(_odd_folders(names)), [*told, *_other_tables(files)])


def _odd_folders(names: Sequence[str]) -> Iterator[str]:
    """A split that might be meant as a class, the other way round, and folders that are one class."""
    folders, splits = {tuple(name.split("/")[:-1]) for name in names}, splits_of(names)
    tops = {parts[0] for parts in folders if parts}
    for top in sorted(tops):
        flat = all(len(parts) == 1 for parts in folders if parts and parts[0] == top)
        if folded(top) in (TRAIN, TEST) and flat and len(tops) > 1:
            yield f"{shown(top)}/ holds pictures but no folders of classes: they are taken as unlabelled"
    spellings = defaultdict(set)
    for name in names:
        spellings[class_of(name, splits)].add(class_folder(name, splits))
    for label, several in spellings.items():
        if label and len(several) > 1:
            yield f"{len(several)} folders' names look the same, {shown(label)}: taken as one class"


def _other_tables(entries: Iterable[str]) -> Iterator[str]:
    tables = [name for name in entries if "/" not in name and name.casefold().endswith(".csv")]
    if tables:
        yield f"{listed(tables)} is not read: call it {TABLE}, or give it as DATA, if it holds the labels"


def by_table(table: Table, entries: Iterable[str], name: str, root: Path) -> Layout:
    """Labels of the rows for the files they name; pictures that none names are unlabelled.

    Raises DataError where no row names a file, or rows contradict each other; `name` is the table's.
    """
    entries = [entry for entry in entries if entry != name]
    matches = Matches(entries, root.resolve().name)
    rows, missing, ambiguous = defaultdict[str, list[Row]](list), list[str](), list[str]()
    for row in table.rows:
        found = matches.find(row.paths)
        if len(found) == 1:
            rows[found[0]].append(row)
        else:
            (ambiguous if found else missing).append(f"{row.path} (line {row.line})")
    if table.rows and not rows:
        raise DataError(f"{shown(name)}: no row names a file in {shown(str(root))}: {listed(missing + ambiguous)}")
    _check_contradictions(rows, name)
    files = [file for file in entries if file in rows or is_picture(file)]
    below_test = {file for file in files if not table.has_split and folded(file.partition("/")[0]) == TEST}
    records = [_by_rows(file, rows.get(file, []), file in below_test) for file in files]
    problems, notes = list[str](), list(table.notes)
    if below_test:
        notes.append(f"{shown(name)} has no column split: {counted(len(below_test), 'picture')} in {TEST}/ held out")
    if missing:
        problems.append(f"{shown(name)}: {counted(len(missing), 'row')} without a file: {listed(missing)}")
    if ambiguous:
        problems.append(f"{shown(name)}: {counted(len(ambiguous), 'row')} with several files: {listed(ambiguous)}")
    return Layout(records, problems + list(table.problems), notes)


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
