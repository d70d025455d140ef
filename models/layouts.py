"""How the names in a person's folder of pictures tell classes. Training and the service's index read it alike."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from models.names import composed, folded

TABLE = "labels.csv"
"""At the root; it wins over the names of folders."""
PATH_COLUMNS = ("path", "image_path", "file_name", "filename", "image", "file")
LABEL_COLUMNS = ("label", "class", "choice")
"""Columns of the table in order of preference, in any case."""
SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
}  # fmt: skip
"""Of files that are taken for pictures, in any case."""
JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r"}
"""What file managers leave behind, besides hidden files; not worth a word."""
TRAIN, TEST, UNLABELLED = "train", "test", {"unlabelled", "unlabeled"}
VALIDATION = {"val", "valid", "validation", "dev"}
"""Folders beside `train` that are trained on like it."""


def is_picture(name: str) -> bool:
    """By its suffix."""
    return PurePosixPath(name).suffix.casefold() in SUFFIXES


def splits_of(names: Iterable[str]) -> set[str]:
    """Top folders, folded, below which the classes are."""
    tops = {folded(name.split("/")[0]) for name in names if "/" in name}
    return {TRAIN, TEST} | (VALIDATION if TRAIN in tops else set())


def class_folder(name: str, splits: set[str]) -> str | None:
    """The first folder, or the second where the first one is a split; None where it holds what has no label."""
    folders = name.split("/")[:-1]
    if folders and folded(folders[0]) in splits:
        folders = folders[1:]
    return folders[0] if folders and folded(folders[0]) not in UNLABELLED else None


def class_of(name: str, splits: set[str]) -> str | None:
    """The class that folders tell of a file."""
    return composed(class_folder(name, splits) or "").strip() or None
