"""Which images to label next."""

import numpy as np
from numpy.typing import NDArray

from models.selection import to_label
from serving.index.live import Known, LiveIndex

HUMAN = frozenset({"given", "person"})
"""Where a label is from that a person knows of."""
MAX_LABELLED = 10_000
"""Labelled images, drawn at random, that a choice looks at."""


def choose(live: LiveIndex, count: int) -> list[Known]:
    """At most `count` images that nobody has labelled, those whose labels would teach most first; blocks."""
    found = live.snapshot()
    labelled = np.array([one in HUMAN for one in found.label_sources], np.bool_)
    rows = _thinned(labelled)
    chosen = rows[to_label(found.vectors[rows], labelled[rows], count)].tolist() if len(rows) else []
    known = (live.known(found.ids[row]) for row in chosen)
    return [one for one in known if one is not None]


def _thinned(labelled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows of all images without a label, and of at most MAX_LABELLED with one."""
    rows = np.flatnonzero(labelled)
    if len(rows) <= MAX_LABELLED:
        return np.arange(len(labelled))
    kept = ~labelled
    kept[np.random.default_rng(0).choice(rows, MAX_LABELLED, replace=False)] = True
    return np.flatnonzero(kept)
