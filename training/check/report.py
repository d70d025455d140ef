"""What a check found, as plain values. Decides nothing and draws nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

Level = Literal["error", "warning", "note"]


class Shown(NamedTuple):
    """A file that shows what was found, and what is to be said of it."""

    name: str
    note: str


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    level: Level
    """`error`: no training is possible; `warning`: the model will suffer; `note`: worth knowing."""
    title: str
    text: str
    advice: str
    """What to do."""
    groups: tuple[tuple[Shown, ...], ...] = ()
    """Files that show it; those of a group belong together."""


@dataclass(frozen=True)
class ClassCount:
    """How many pictures that can be used have a label."""

    name: str
    labelled: int
    """To train on."""
    held_out: int


@dataclass(frozen=True)
class Counts:
    """How many files there are, and what they are like."""

    files: int
    good: int
    labelled: int
    """Good ones to train on with a label."""
    unlabelled: int
    """Good ones to train on without."""
    held_out: int
    """Good ones of the test set."""
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    """As Pillow names them: `RGB`, `L` for gray, `P` for a palette, …"""
    sizes: Mapping[str, int]
    """Width × height, the most frequent ones."""
    other_sizes: int
    gray: int
    """Without any colour."""


@dataclass(frozen=True)
class Report:
    """Everything that a check found; findings in order of weight."""

    source: str
    counts: Counts
    classes: tuple[ClassCount, ...]
    findings: tuple[Finding, ...]
    examples: Mapping[str, tuple[str, ...]]
    """Class → names of some of its files."""
    pictures: Mapping[str, bytes] = field(repr=False, default_factory=dict)
    """Name → a small JPEG of what the page shows; not part of the JSON."""

    @property
    def impossible(self) -> str | None:
        """Why nothing can be trained on this, if so."""
        return next((f"{one.text} {one.advice}" for one in self.findings if one.level == "error"), None)

    def plain(self) -> dict[str, Any]:
        """The report for JSON."""
        fields = asdict(self)
        del fields["pictures"]
        fields["findings"] = [
            asdict(one) | {"groups": [[shown._asdict() for shown in group] for group in one.groups]}
            for one in self.findings
        ]
        return fields
