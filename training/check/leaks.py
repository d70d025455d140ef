"""Labels that something besides the picture gives away: its format, size, colour mode or name.

A model learns whatever tells classes apart; where all of one class are PNG files of one camera, it learns the camera.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from models.names import folded
from training.data.info import FileInfo

FOLDS = 10
SHUFFLES = 499
"""Shuffled labels that the true ones are compared with; none may be told as well: p ≤ 0.002."""
VALUES = 60
"""The most frequent values of an attribute that are kept apart; the others count as one."""
RARE = 5
"""Labels of a class, and pictures with a value, below which they are not looked at by themselves."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Leak:
    """An attribute that tells a class from all others."""

    attribute: str
    class_name: str
    value: str
    """The most frequent one that speaks for the class."""
    share: float
    """Of the class's pictures that have the value."""
    share_elsewhere: float
    """Of all others."""
    informedness: float
    """Share of the class recognised by the attribute alone less the share of others taken for it, on pictures that did
    not take part in learning which value means what; 0 is chance, 1 perfect (Youden 1950)."""


def attributes(names: Sequence[str], infos: Sequence[FileInfo]) -> dict[str, list[str]]:
    """What is known of files without looking at what they show; a value for each."""
    return {
        "format": [info.format for info in infos],
        "colour mode": [info.mode for info in infos],
        "colour": ["gray" if info.gray else "coloured" for info in infos],
        "size": [f"{info.width} × {info.height}" for info in infos],
        "aspect ratio": [f"{info.width / info.height:.2f}" for info in infos],
        "file name": [pattern(name) for name in names],
    }


def pattern(name: str) -> str:
    """What of a file's name many may share: `cat_#` for `photos/cat_001.jpg`."""
    return re.sub(r"\d+", "#", folded(PurePosixPath(name).stem))


def leak(attribute: str, values: Sequence[str], labels: Sequence[str]) -> Leak | None:
    """The class that the attribute gives away most, if shuffled labels are never told as well; all labels are known.

    Classes of fewer than `RARE` labels are not looked at.
    """
    names, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    values = _frequent(values)
    kinds, codes = np.unique(values, return_inverse=True)
    looked_at = sizes >= RARE
    if len(kinds) < 2 or len(names) < 2 or not looked_at.any():
        return None
    random = np.random.default_rng(0)
    folds = random.permutation(len(classes)) % FOLDS
    shape = (len(kinds), len(names), FOLDS)
    found = np.where(looked_at, _informedness(_table(codes, classes, folds, shape)), -1)
    best = int(found.argmax())
    for _ in range(SHUFFLES):
        shuffled = _informedness(_table(codes, random.permutation(classes), folds, shape))
        if shuffled[looked_at].max() >= found[best]:
            return None
    return _told(attribute, names[best], kinds, codes, classes == best, float(found[best]))


def _told(
    attribute: str, name: str, kinds: NDArray[np.str_], codes: Numbers, own: NDArray[np.bool_], informedness: float
) -> Leak:
    inside = np.bincount(codes[own], minlength=len(kinds)) / own.sum()
    outside = np.bincount(codes[~own], minlength=len(kinds)) / (~own).sum()
    value = int(np.where(inside > outside, inside, 0).argmax())
    return Leak(attribute, str(name), str(kinds[value]), float(inside[value]), float(outside[value]), informedness)


def _frequent(values: Sequence[str]) -> list[str]:
    kinds, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:VALUES]
    kept = {str(kinds[place]) for place in order if counts[place] >= RARE}
    return [value if value in kept else "another" for value in values]


def _table(codes: Numbers, classes: Numbers, folds: Numbers, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """(values, classes, folds): how many pictures there are of each."""
    places = (codes * shape[1] + classes) * shape[2] + folds
    return np.bincount(places, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)


def _informedness(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(classes,): each told from all others by the values that were more frequent in it in the other folds."""
    others = table.sum(axis=2, keepdims=True) - table
    in_class = others / np.maximum(others.sum(axis=0), 1)
    rest = others.sum(axis=1, keepdims=True) - others
    taken = in_class > rest / np.maximum(rest.sum(axis=0), 1)  # (values, classes, folds)
    outside = table.sum(axis=1, keepdims=True) - table
    hits, mistakes = (taken * table).sum(axis=(0, 2)), (taken * outside).sum(axis=(0, 2))
    shares = hits / np.maximum(table.sum(axis=(0, 2)), 1), mistakes / np.maximum(outside.sum(axis=(0, 2)), 1)
    return np.asarray(shares[0] - shares[1])
