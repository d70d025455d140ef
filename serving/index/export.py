"""Users' items → a folder of files and `labels.csv`, as training reads them. Knows no database."""

import csv
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from models.layouts import JUNK, TABLE
from models.names import folded, shown
from serving.index.folder import FolderError
from serving.index.items import Item
from serving.index.line import groups
from serving.index.store import MAX_GROUP, Store

MAX_NAME = 255
"""Bytes of one part of a path that file systems take."""
KEPT_NAME = 200
"""Bytes of a part that is too long which are kept of it."""


class Exported(NamedTuple):
    """What was written."""

    images: int
    labels: int
    """Of these images."""
    bundled: int
    """Labels of the bundle's own images, which have no file here."""


def export(
    store: Store,
    folder: Path,
    on_step: Callable[[int], object] = lambda _: None,
    on_odd: Callable[[str], object] = lambda _: None,
) -> Exported:
    """Writes all images below `folder`, which is new or empty, and then the table of their labels.

    Raises FolderError where there is something already, and, when all else is written, where paths of some images
    are longer than the system takes; StoreFailure, and OSError.

    Args:
        on_odd: called with a line about each name, and each label, that is not written as it is.
    """  # fmt: skip
    _make(folder)
    images = labels = bundled = too_long = 0
    part = folder / f".{TABLE}.part"
    with part.open("x", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "label"])
        for some in groups(_all(store)):
            kept = store.images([item.id for item in some])
            for item in some:
                if item.source == "bundle":
                    bundled += 1
                elif (image := kept.get(item.id)) is not None:  # not deleted meanwhile
                    if (name := _write(folder, item.id, image, on_odd)) is None:
                        too_long += 1
                        continue
                    label = _cell(item, on_odd)
                    table.writerow([name, label])
                    images, labels = images + 1, labels + bool(label)
            on_step(len(some))
    part.replace(folder / TABLE)
    if too_long:
        told = f"{too_long:,} images are not written, the other {images:,} and {TABLE} are; export to a shorter path"
        raise FolderError(f"{shown(folder)}: {told}")
    return Exported(images, labels, bundled)


def _make(folder: Path) -> None:
    """Makes the folder; raises FolderError unless it is empty then."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = next(folder.iterdir(), None) is None
    except OSError as error:
        raise FolderError(f"{shown(folder)}: no folder can be made there ({error.strerror})") from error
    if not empty:
        raise FolderError(f"{shown(folder)}: is not empty; give a new folder")


def _all(store: Store) -> Iterator[Item]:
    after = ""
    while page := store.page(MAX_GROUP, after):
        yield from page
        after = page[-1].id


def _write(folder: Path, own_id: str, image: bytes, on_odd: Callable[[str], object]) -> str | None:
    """The name below `folder` by which the image is written; none of it leads out, and no file is written twice.

    None where every name is too long for the system.
    """
    parts = [part if _is_plain(part) else _made_safe(part) for part in own_id.split("/")]
    flat = _made_safe(own_id)
    # The others where a file has the name of a folder, or names differ in case alone; `test/` is held out.
    names = ["/".join(parts), f"{parts[0]}/{flat}", flat]
    if own_id != own_id.strip() or folded(parts[0]) == TABLE:  # nor may a folder have the table's name
        names = [flat]
    too_long = False
    for name in names:
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(image)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            too_long = True
            continue
        if name != own_id:
            on_odd(f"{shown(own_id)}: written as {name}")
        return name
    if too_long:
        on_odd(f"{shown(own_id)}: not written, its path would be too long")
        return None
    raise FolderError(f"{shown(own_id)}: its name is taken in {shown(folder)}")


def _is_plain(part: str) -> bool:
    """Whether a file may have this name, and training looks at it."""
    hidden = part.startswith(".") or part.casefold() in JUNK
    return not hidden and "\\" not in part and len(os.fsencode(part)) <= MAX_NAME


def _made_safe(part: str) -> str:
    """A name of its own for each part, or id: what is left of it, and digits that tell it from others."""
    clean = part.replace("\\", "_").replace("/", "_").strip().lstrip(".")
    suffix = PurePosixPath(clean).suffix
    suffix = suffix if len(suffix.encode()) <= 10 else ""
    stem = clean.removesuffix(suffix)
    kept = stem.encode()[:KEPT_NAME].decode(errors="ignore")
    return f"{kept}-{hashlib.sha256(part.encode()).hexdigest()[:12]}{suffix}"


def _cell(item: Item, on_odd: Callable[[str], object]) -> str:
    """The label as a table tells it."""
    label = table_label(item.label)
    if item.label and not label:
        on_odd(f"{shown(item.id)}: its label is no line of text, and not written: {shown(item.label)}")
    return label


def table_label(label: str | None) -> str:
    """A label as training reads it from a table; "" where there is none, or none that a table can tell."""
    text = (label or "").strip()
    if len(text.splitlines()) != 1:
        return ""
    return json.dumps([text], ensure_ascii=False) if text[0] in "{[" else text  # else a list of choices is meant
