"""The check: what is known of a collection's files → a report."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.manifest import InputSpec
from models.names import shown
from training.check.about_copies import about_copies
from training.check.about_files import about_source, odd_pictures, unreadable
from training.check.about_labels import about_classes, about_leaks, impossible
from training.check.known import Known
from training.check.report import ClassCount, Counts, Finding, Report, Shown
from training.data.collection import Collection
from training.data.info import FileInfo
from training.data.scan import CACHE, prepared

PICTURE = InputSpec("crop", 96, 96, 3)
"""Of the page."""
JPEG_QUALITY = 82
GROUPS, MEMBERS = 12, 6
"""Of a finding the page shows so many groups of pictures, and of each group so many."""
EXAMPLES, EXAMPLES_A_CLASS = 240, 8
"""Of all classes together, and of one, the page shows so many pictures."""
SIZES = 8
"""How many sizes are counted by themselves."""


def check(
    collection: Collection, infos: Sequence[FileInfo], thumbnails: NDArray[np.uint8], cache: Path = CACHE
) -> Report:
    """What is wrong with a collection, or worth knowing, and what to do about it.

    `infos` are what `scan` returns, `thumbnails` (n good, 24, 24) what `prepared` does for `copies.THUMBNAIL`. Raises
    DataError where a file has changed since.
    """
    pairs = list(zip(collection.records, infos, strict=True))
    good = [(record, info) for record, info in pairs if info.good]
    bad = [Shown(record.name, info.error) for record, info in pairs if info.error]
    records, good_infos = [record for record, _ in good], [info for _, info in good]
    known = Known(collection, bad, records, good_infos, thumbnails, _classes(collection, good))
    found = _findings(known)
    examples = _examples(known)
    wanted = {name for names in examples.values() for name in names} | set(_shown(found))
    return Report(
        shown(str(collection.root)),
        _counts(known),
        tuple(known.classes),
        found,
        examples,
        _pictures(collection, infos, wanted, cache),
    )


def _findings(known: Known) -> tuple[Finding, ...]:
    """Errors, then warnings, then notes; each in order of weight."""
    makers = (impossible, about_copies, about_leaks, unreadable, about_classes, about_source, odd_pictures)
    found = [one for maker in makers for one in maker(known)]
    return tuple(sorted(found, key=lambda one: ("error", "warning", "note").index(one.level)))


def _classes(collection: Collection, good: Sequence[tuple[object, FileInfo]]) -> list[ClassCount]:
    counts = Counter((record.label, record.held_out) for record, _ in good)  # type: ignore[attr-defined]
    return [ClassCount(name, counts[name, False], counts[name, True]) for name in collection.class_names]


def _counts(known: Known) -> Counts:
    sizes = Counter(f"{info.width} × {info.height}" for info in known.infos)
    frequent = dict(sizes.most_common(SIZES))
    trained = [record for record in known.good if not record.held_out]
    labelled = sum(record.label is not None for record in trained)
    return Counts(
        files=len(known.collection.records),
        good=len(known.good),
        labelled=labelled,
        unlabelled=len(trained) - labelled,
        held_out=len(known.good) - len(trained),
        formats=dict(Counter(info.format for info in known.infos).most_common()),
        modes=dict(Counter(info.mode for info in known.infos).most_common()),
        sizes=frequent,
        other_sizes=len(known.infos) - sum(frequent.values()),
        gray=sum(info.gray for info in known.infos),
    )


def _examples(known: Known) -> dict[str, tuple[str, ...]]:
    """Some files of each class, evenly drawn from all of them."""
    most = min(EXAMPLES_A_CLASS, max(1, EXAMPLES // max(1, len(known.classes))))
    names: dict[str, list[str]] = {}
    for record in known.good:
        if record.label:
            names.setdefault(record.label, []).append(record.name)
    shares = {
        label: np.linspace(0, len(all_names) - 1, min(most, len(all_names))) for label, all_names in names.items()
    }
    chosen = {label: tuple(names[label][round(place)] for place in places) for label, places in shares.items()}
    return dict(islice(sorted(chosen.items()), EXAMPLES))


def _shown(found: Sequence[Finding]) -> Iterator[str]:
    for one in found:
        for group in one.groups[:GROUPS]:
            yield from (member.name for member in group[:MEMBERS])


def _pictures(collection: Collection, infos: Sequence[FileInfo], wanted: set[str], cache: Path) -> dict[str, bytes]:
    """Small JPEG files of the good ones among these names."""
    pairs = zip(collection.records, infos, strict=True)
    chosen = [(record, info) for record, info in pairs if info.good and record.name in wanted]
    small = replace(collection, records=tuple(record for record, _ in chosen))
    (pixels,) = prepared(small, [info for _, info in chosen], [PICTURE], cache)
    return {record.name: _jpeg(picture) for (record, _), picture in zip(chosen, pixels, strict=True)}


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
