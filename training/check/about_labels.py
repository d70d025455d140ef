"""Findings about classes and labels."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from models.names import composed, counted, folded, listed, shown
from training.check.known import Known
from training.check.leaks import Leak, attributes, leak
from training.check.report import Finding, Shown
from training.data.collection import Record

FEW = 2
"""Labels that a class needs: one to learn from and one to check by."""
IMBALANCE = 10
"""The largest class has so many times the labels of the smallest."""
TOLD, HINTED = 0.5, 0.2
"""Informedness of a leak from which on it is a warning, or a note."""


def impossible(known: Known) -> Iterator[Finding]:
    """Why nothing can be learnt at all."""
    trained = [one.name for one in known.classes if one.labelled]
    if len(trained) < 2:
        have = f"only “{shown(trained[0])}” has" if trained else "none has"
        text = f"Of {counted(len(known.classes), 'class', 'classes')} {have} a label on a picture that can be read."
        text = text if known.classes else "No picture has a label."
        yield Finding("error", "Nothing to tell apart", text, "Label readable pictures of two classes or more.")


def about_leaks(known: Known) -> Iterator[Finding]:
    """What gives labels away."""
    places = [place for place, record in enumerate(known.good) if record.label]
    labels = [known.good[place].label or "" for place in places]
    kinds = attributes([known.good[place].name for place in places], [known.infos[place] for place in places])
    told: set[str] = set()
    for attribute, values in kinds.items():
        found = leak(attribute, values, labels)
        if found and found.informedness >= HINTED and not (attribute == "aspect ratio" and "size" in told):
            told.add(attribute)
            pairs = zip(values, labels, strict=True)
            first = next(place for place, pair in enumerate(pairs) if pair == (found.value, found.class_name))
            yield _leak(found, known.shown(places[first]), _in_folders(known.good))


def _in_folders(records: Iterable[Record]) -> bool:
    """Whether all labels are names of folders."""
    return all(not one.label or one.label in map(str.strip, composed(one.name).split("/")[:-1]) for one in records)


def _leak(found: Leak, example: Shown, in_folders: bool) -> Finding:
    of_name = found.attribute == "file name"
    harmless = of_name and (in_folders or folded(found.class_name) in found.value)
    level: Literal["warning", "note"] = "warning" if found.informedness >= TOLD and not harmless else "note"
    have = f"{found.share:.0%} of “{shown(found.class_name)}” have “{shown(found.value)}”"
    others = f"{found.share_elsewhere:.0%} of the others do"
    text = f"The {found.attribute} alone tells classes apart: {have}, {others}; first {shown(example.name)}."
    if harmless:
        advice = "No model sees the names of files: this does no harm."
    elif of_name:
        advice = "If names tell the camera or the day, take pictures of each class with each camera and on each day."
    else:
        advice = "A model may learn that instead of what is shown: get the pictures of all classes in the same way."
    return Finding(level, f"The {found.attribute} gives labels away", text, advice, ((example,),))


def about_classes(known: Known) -> Iterator[Finding]:
    """Classes with too few labels."""
    unlearnt = [one.name for one in known.classes if not one.labelled]
    few = [one.name for one in known.classes if 0 < one.labelled < FEW]
    if unlearnt:
        text = f"{_counted(unlearnt)} without a label on a readable picture to train on: {_listed(known, unlearnt)}."
        yield Finding("warning", "Classes that cannot be learnt", text, "Label some, or delete the class.")
    if few:
        advice = "Label more: one to learn from and one to check by are the least."
        text = f"{_counted(few)} of a single label: {_listed(known, few)}."
        yield Finding("warning", "Classes of a single label", text, advice, tuple(_examples(known, few)))
    untested = [one.name for one in known.classes if not one.held_out]
    if 0 < len(untested) < len(known.classes):
        text = f"{_counted(untested)} without a test picture: {_listed(known, untested)}."
        yield Finding("note", "Classes that are not tested", text, "Hold out some of their pictures.")
    counts = Counter({one.name: one.labelled for one in known.classes if one.labelled}).most_common()
    if counts and counts[0][1] >= IMBALANCE * counts[-1][1]:
        (most, largest), (least, smallest) = counts[0], counts[-1]
        text = f"“{shown(most)}” has {largest:,} labels, “{shown(least)}” {smallest:,}."
        yield Finding("note", "Classes of unlike size", text, "Label more of the small ones if they matter as much.")


def _counted(names: Sequence[str]) -> str:
    return counted(len(names), "class", "classes")


def _examples(known: Known, names: Sequence[str]) -> Iterator[tuple[Shown, ...]]:
    firsts = {record.label: place for place, record in reversed(list(enumerate(known.good)))}
    yield from ((known.shown(firsts[name]),) for name in names if name in firsts)


def _listed(known: Known, names: Sequence[str]) -> str:
    """The names, and a file of the first, one that can be read if there is one."""
    records = [*known.good, *known.collection.records]
    example = next((record.name for record in records if record.label == names[0]), "")
    return f"{listed(names)}; first file {shown(example)}"
