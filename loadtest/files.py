"""A user's own image files, drawn evenly over a folder. Knows nothing about HTTP, nor what is in them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
)  # fmt: skip
"""Of the formats that the service decodes, in lower case."""
MAX_FILES = 1000
MAX_FILE_BYTES = 10_000_000
"""The service takes no more unless it is told to."""
MAX_BYTES = 500_000_000
"""Of all drawn files together: they are held in memory while the users post them."""


class Drawn(NamedTuple):
    """What is taken of a folder."""

    paths: list[Path]
    found: int
    """Image files in the folder, whether taken or not."""
    too_large: int
    """Of these, files of more than `MAX_FILE_BYTES`."""
    unreadable: int
    """Of these, files whose size cannot be read."""


def draw(folder: Path) -> Drawn:
    """Up to `MAX_FILES` image files below `folder`, evenly spaced in the order of their paths; no hidden ones.

    Raises OSError when there is no such folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: no such folder")
    found = sorted(_images(folder))
    sizes = {path: size for path in found if (size := _size(path)) is not None}
    fitting = [path for path, size in sizes.items() if size <= MAX_FILE_BYTES]
    return Drawn(_spread(fitting, sizes), len(found), len(sizes) - len(fitting), len(found) - len(sizes))


def _images(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122 (100,000 names)
                yield Path(parent, name)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _spread(paths: list[Path], sizes: dict[Path, int]) -> list[Path]:
    """As many of `paths` as the bounds allow."""
    count = min(MAX_FILES, len(paths))
    while True:
        spread = [paths[number * len(paths) // count] for number in range(count)]
        total = sum(sizes[path] for path in spread)
        if total <= MAX_BYTES:
            return spread
        count = max(1, count * MAX_BYTES // total)
