"""A collection whose labels are known → trials: few labels drawn from those to train on, the others hidden.

All trials share one folder of links to the pictures, named by their content, so that no name tells a class. Each trial
is a table beside them that `python -m training.own` reads: the drawn labels, and the test split.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from models.layouts import is_picture
from models.names import listed
from training.data.dataset import UNLABELLED
from training.data.errors import DataError
from training.own.next import write_table
from training.own.pictures import Pictures

Places = NDArray[np.int64]
"""(n,), among the usable files of a collection."""
IMAGES = "images"
"""Folder of the links, below that of the tables."""
NAMED = 16
"""Hexadecimal digits of a picture's SHA-256 that name its link."""


@dataclass(frozen=True)
class Division:
    """What the pictures of a collection are for."""

    pictures: Pictures
    training: Places
    test: Places
    left_out: Places
    """Of the class that takes no part in training, of both splits."""

    def digests(self, places: Places) -> list[tuple[str, int]]:
        """SHA-256 and class of files: what a trial depends on, whatever they are called."""
        good, labels = self.pictures.good, self.pictures.labels
        return [(good[place].digest.hex(), int(labels[place])) for place in places]

    @property
    def copies(self) -> int:
        """How many test pictures have the same pixels as one to train on."""
        groups = self.pictures.groups
        return int(np.isin(groups[self.test], groups[self.training]).sum())

    @property
    def unused(self) -> int:
        """How many usable files are for nothing: without a label of a class to train on, or too many."""
        return len(self.pictures) - len(self.training) - len(self.test) - len(self.left_out)


def divide(
    pictures: Pictures, held_out: float, seed: int, *, most: int | None = None, leave_out: str | None = None
) -> Division:
    """Splits the labelled pictures of classes that can be learnt.

    Raises DataError where fewer than two classes are left, or a class has no picture to test with.

    Args:
        pictures: the whole collection, labelled.
        held_out: share of each class that is drawn as test split where the collection has none.
        seed: of the drawn test split, and of the pictures that `most` keeps.
        most: pictures to train on, per class; all if not given.
        leave_out: class that takes no part.
    """
    names, random = pictures.class_names, np.random.default_rng(seed)
    if leave_out is not None and leave_out not in names:
        raise DataError(f"--leave-out {leave_out}: no class to train on is called so; there are {listed(names, 20)}")
    usable = np.array([is_picture(name) for name in pictures.names], np.bool_) & (pictures.labels != UNLABELLED)
    away = np.array([name == leave_out for name in names], np.bool_)[pictures.labels] & usable
    usable &= ~away
    test = np.flatnonzero(usable & pictures.held_out)
    classes = [np.flatnonzero(usable & (pictures.labels == one)) for one in np.unique(pictures.labels[usable])]
    if len(classes) < 2:
        raise DataError(f"two classes are needed to train on; there are {len(classes)}")
    if not len(test):
        drawn = [random.permutation(own)[: max(1, round(held_out * len(own)))] for own in classes]
        test = np.sort(np.concatenate(drawn))
    rest = [random.permutation(np.setdiff1d(own, test))[:most] for own in classes]
    lacking = [names[pictures.labels[own[0]]] for own, left in zip(classes, rest, strict=True) if not len(left)]
    if lacking:
        raise DataError(f"no picture to train on is left of {listed(lacking)}")
    return Division(pictures, np.sort(np.concatenate(rest)), test, np.flatnonzero(away))


def drawn_labels(division: Division, count: int, draw: int) -> Places:
    """Pictures whose labels are given: `count` of each class, or all where it has fewer.

    Draws of one number contain each other: the 10 labels of draw 0 are among its 25.
    """
    random, labels = np.random.default_rng(draw), division.pictures.labels[division.training]
    drawn = [random.permutation(division.training[labels == one])[:count] for one in np.unique(labels)]
    return np.sort(np.concatenate(drawn))


def link_pictures(division: Division, folder: Path) -> dict[int, str]:
    """Fills `folder`/images/ with links to the pictures of both splits; returns the names below `folder` by place.

    Hard links, or copies of what lies in a zip or on another disk. A file of an earlier run stays if it is wanted.
    """
    images = folder / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    names = _neutral_names(division.pictures, [*division.training.tolist(), *division.test.tolist()])
    wanted = set(names.values())
    for path in images.iterdir():
        if path.name not in wanted:
            path.unlink()
    sources = division.pictures.names
    for place, name in names.items():
        if not (images / name).exists():
            _link(division.pictures, sources[place], images / name)
    return {place: f"{IMAGES}/{name}" for place, name in names.items()}


def _neutral_names(pictures: Pictures, places: Sequence[int]) -> dict[int, str]:
    good, sources, seen, names = pictures.good, pictures.names, Counter[str](), dict[int, str]()
    for place in sorted(places):
        digest = good[place].digest.hex()[:NAMED]
        copy = f"-{seen[digest]}" if seen[digest] else ""
        names[place] = f"{digest}{copy}{PurePosixPath(sources[place]).suffix.casefold()}"
        seen[digest] += 1
    return names


def _link(pictures: Pictures, source: str, path: Path) -> None:
    collection = pictures.collection
    try:
        path.hardlink_to((collection.root / collection.entries[source].key).resolve())
    except OSError:  # in a zip, on another disk, or somebody else's
        partial = path.with_name(f".{path.name}")
        partial.write_bytes(collection.read(source))
        partial.replace(path)


def write_trial(path: Path, division: Division, names: dict[int, str], given: Places) -> None:
    """Writes the table of one trial: the given labels, and the test split with its own."""
    classes, labels = division.pictures.class_names, division.pictures.labels
    places = [*given.tolist(), *division.test.tolist()]
    columns = {
        "path": [names[place] for place in places],
        "label": [classes[labels[place]] for place in places],
        "split": ["train"] * len(given) + ["test"] * len(division.test),
    }
    write_table(path, columns)
