"""All that findings are made of."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.check.report import ClassCount, Shown
from training.data.collection import Collection, Record
from training.data.info import FileInfo


class Known(NamedTuple):
    """A collection and its files; `good`, `infos` and `thumbnails` are of those that can be used, in one order."""

    collection: Collection
    bad: Sequence[Shown]
    """Names of those that cannot, and why."""
    good: Sequence[Record]
    infos: Sequence[FileInfo]
    thumbnails: NDArray[np.uint8]
    """(n good, 24, 24)."""
    classes: Sequence[ClassCount]

    def shown(self, place: int) -> Shown:
        """A good file with what its owner says of it."""
        record = self.good[place]
        return Shown(record.name, f"{record.label or 'unlabelled'}{' · test' if record.held_out else ''}")
