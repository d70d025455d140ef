"""The usable files of a collection with their labels: what training reads of a person's folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.manifest import InputSpec
from training.data.collection import Collection, Record
from training.data.dataset import UNLABELLED
from training.data.info import FileInfo
from training.data.scan import prepared, stream

SMALLEST, LARGEST, STEP = 24, 64, 4
"""Pixels along each side of what a served network sees, unless told: the least, the most, and what they divide by."""


@dataclass(frozen=True)
class Pictures:
    """The files that can be used, in the collection's order; every array has an entry for each."""

    collection: Collection
    infos: Sequence[FileInfo]
    """Of every record, usable or not."""
    cache: Path

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def names(self) -> list[str]:
        """Paths relative to the folder."""
        return [record.name for record, info in self._pairs if info.good]

    @cached_property
    def held_out(self) -> NDArray[np.bool_]:
        """(n,): whether the file is of the test split."""
        return np.array([record.held_out for record, info in self._pairs if info.good], np.bool_)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The classes that can be learnt: those of usable files that are not held out."""
        learnt = {record.label for record, info in self._pairs if info.good and not record.held_out}
        return tuple(sorted(name for name in learnt if name is not None))

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(n,) class indices, or UNLABELLED; also for a test file of a class that cannot be learnt."""
        index = {name: number for number, name in enumerate(self.class_names)}
        found = [index.get(record.label or "", UNLABELLED) for record, info in self._pairs if info.good]
        return np.array(found, np.int64)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """(n,) numbers, the same for files whose pixels are equal."""
        _, numbers = np.unique([info.pixels for info in self.good], return_inverse=True)
        return np.asarray(numbers, np.int64)

    @cached_property
    def left_out(self) -> int:
        """How many held-out files have a label that no file to train on has."""
        labels = set(self.class_names)
        return sum(
            record.held_out and record.label is not None and record.label not in labels
            for record, info in self._pairs
            if info.good
        )

    @cached_property
    def training(self) -> NDArray[np.int64]:
        """Places of the images that are trained on, labelled or not."""
        return np.flatnonzero(~self.held_out)

    @cached_property
    def test(self) -> NDArray[np.int64]:
        """Places of the held-out images whose class can be learnt."""
        return np.flatnonzero(self.held_out & (self.labels != UNLABELLED))

    @property
    def _pairs(self) -> list[tuple[Record, FileInfo]]:
        return list(zip(self.collection.records, self.infos, strict=True))

    @property
    def good(self) -> list[FileInfo]:
        """What is known of each file."""
        return [info for info in self.infos if info.good]

    def seen(self, spec: InputSpec) -> NDArray[np.uint8]:
        """What a model with this input sees of each: (n, height, width) or (n, height, width, 3)."""
        (pixels,) = prepared(self.collection, self.infos, [spec], self.cache)
        return pixels

    def batches(
        self, spec: InputSpec, size: int, chosen: Sequence[int]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """The same of `chosen` files, batch by batch, with their places; kept nowhere."""
        return stream(self.collection, self.infos, spec, size, chosen)

    @property
    def _learnt(self) -> list[FileInfo]:
        """What is known of the files that are trained on."""
        return [info for info, held_out in zip(self.good, self.held_out, strict=True) if not held_out]

    def channels(self) -> int:
        """1 where no picture has a colour, else 3."""
        return 1 if all(info.gray for info in self._learnt) else 3

    def side(self) -> int:
        """Pixels along each side that a served network sees, unless told: about as many as the pictures have."""
        shorter = float(np.median([min(info.width, info.height) for info in self._learnt]))
        return int(np.clip(shorter // STEP * STEP, SMALLEST, LARGEST))

    def square(self) -> bool:
        """Whether nearly all pictures are about square, so that it does not matter how they come to a square."""
        ratios = np.array([info.width / info.height for info in self._learnt])
        return bool((np.abs(np.log(ratios)) < 0.05).mean() > 0.95)
