"""Findings about pictures that are there twice."""

from collections.abc import Iterator, Sequence
from typing import Literal

from models.names import counted, shown
from training.check.copies import Copies, copies
from training.check.known import Known
from training.check.report import Finding, Shown

MANY = 0.05
"""Share of pictures that are copies from which on it is a warning."""


def about_copies(known: Known) -> Iterator[Finding]:
    """Labels that contradict each other, test pictures that are trained on, then all other copies."""
    groups = sorted(copies(known.infos, known.thumbnails), key=lambda group: (not group.equal, group.members))
    contradictions = [group for group in groups if len(_labels(known, group)) > 1]
    across = [group for group in groups if len({known.good[place].held_out for place in group.members}) > 1]
    others = [group for group in groups if group not in contradictions and group not in across]
    if contradictions:
        yield _contradiction(known, contradictions)
    if across:
        yield _across_splits(known, across)
    if others:
        yield _others(known, others)


def _labels(known: Known, group: Copies) -> dict[str, Shown]:
    """A picture of each label that the group has."""
    firsts = {known.good[place].label: known.shown(place) for place in reversed(group.members)}
    return {label: firsts[label] for label in sorted(label for label in firsts if label)}


def _groups(known: Known, groups: Sequence[Copies]) -> tuple[tuple[Shown, ...], ...]:
    return tuple(tuple(known.shown(place) for place in group.members) for group in groups)


def _told(*pictures: Shown) -> str:
    return " and ".join(f"{shown(one.name)} ({shown(one.note)})" for one in pictures)


def _equal(groups: Sequence[Copies]) -> str:
    equal = sum(group.equal for group in groups)
    if equal in (0, len(groups)):
        return "equal pixel by pixel" if equal else "equal to the eye"
    return f"{equal:,} of them equal pixel by pixel, the others to the eye"


def _contradiction(known: Known, groups: Sequence[Copies]) -> Finding:
    example = _told(*list(_labels(known, groups[0]).values())[:2])
    text = f"{counted(len(groups), 'picture')} with copies under other labels, {_equal(groups)}; first {example}."
    advice = "Look at each: correct the wrong label, or delete copies."
    return Finding("warning", "One picture, two labels", text, advice, _groups(known, groups))


def _across_splits(known: Known, groups: Sequence[Copies]) -> Finding:
    tested = sum(known.good[place].held_out for group in groups for place in group.members)
    share = tested / sum(record.held_out for record in known.good)
    by_split = {known.good[place].held_out: known.shown(place) for place in reversed(groups[0].members)}
    copied = f"{counted(tested, 'test picture')} ({share:.1%}) with a copy among those trained on"
    example = _told(by_split[True], by_split[False])
    text = f"{copied}, in {counted(len(groups), 'group')}, {_equal(groups)}; first {example}."
    advice = "Delete the copies from one of both, or the test's score will be too good."
    return Finding("warning", "Test pictures that are trained on", text, advice, _groups(known, groups))


def _others(known: Known, groups: Sequence[Copies]) -> Finding:
    extra = sum(len(group.members) - 1 for group in groups)
    level: Literal["warning", "note"] = "warning" if extra > MANY * len(known.good) else "note"
    example = _told(*(known.shown(place) for place in groups[0].members[:2]))
    copied = f"{counted(len(groups), 'picture')} with {counted(extra, 'copy', 'copies')} under the same label"
    text = f"{copied}, {_equal(groups)}; first {example}."
    advice = "They count several times over. Delete copies that you do not want; those under one label do little harm."
    return Finding(level, "Pictures that are there twice", text, advice, _groups(known, groups))
