"""Findings about files as such."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.names import counted, shown
from training.check.copies import flat
from training.check.known import Known
from training.check.report import Finding

TINY = 16
"""Pixels along the shorter side below which little can be seen."""


def unreadable(known: Known) -> Iterator[Finding]:
    """Files that cannot be used."""
    if known.bad:
        first = known.bad[0]
        text = f"{counted(len(known.bad), 'file')} cannot be read; first {shown(first.name)}: {first.note}."
        advice = "They are left out. Save them again, or delete them."
        yield Finding("warning", "Files that cannot be read", text, advice, tuple((one,) for one in known.bad))


def about_source(known: Known) -> Iterator[Finding]:
    """What the folder, zip or table itself is noticed for."""
    for line in known.collection.problems:
        yield Finding("warning", "Files and labels", _sentence(line), "")
    for line in known.collection.notes:
        yield Finding("note", "How it is read", _sentence(line), "")


def _sentence(line: str) -> str:
    return f"{line[:1].upper()}{line[1:]}{'' if line.endswith('?') else '.'}"


def odd_pictures(known: Known) -> Iterator[Finding]:
    """Pictures in which there is little to see."""
    tiny = np.array([min(info.width, info.height) < TINY for info in known.infos], np.bool_)
    yield from _odd(known, np.asarray(flat(known.thumbnails)), "Pictures of one shade", "of almost one shade")
    yield from _odd(known, tiny, "Tiny pictures", f"of fewer than {TINY} pixels along a side")


def _odd(known: Known, chosen: NDArray[np.bool_], title: str, what: str) -> Iterator[Finding]:
    places = np.flatnonzero(chosen).tolist()
    if places:
        first = shown(known.good[places[0]].name)
        text = f"{counted(len(places), 'picture')} {what}; first {first}."
        advice = "Delete them if they show nothing."
        yield Finding("note", title, text, advice, tuple((known.shown(place),) for place in places))
