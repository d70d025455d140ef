"""The order of measurements: each stands right beside one of a reference, so that what slows the machine slows both."""

import sys
from dataclasses import dataclass
from typing import Any

from loadtest.compare.settings import CompareSettings, Load, MeasureSettings
from loadtest.compare.targets import Target
from loadtest.compare.wrk import Sample


@dataclass(frozen=True)
class Pair:
    """A target's sample and the reference's."""

    target: str
    load: Load
    round: int
    sample: Sample
    reference: Sample

    @property
    def fault(self) -> str | None:
        """Why the pair counts for nothing; None when it counts."""
        return self.sample.fault or self.reference.fault

    @property
    def ratio(self) -> float:
        """The target's requests a second as a multiple of the reference's."""
        return self.sample.rate / self.reference.rate

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = {"target": self.target, "heads": self.load.heads, "concurrency": self.load.connections}
        return {**names, "round": self.round, "sample": self.sample.as_dict(), "reference": self.reference.as_dict()}


def measure_pair(target: Target, reference: Target, load: Load, number: int, settings: MeasureSettings) -> Pair:
    """The reference goes first in even rounds and second in odd ones: a drift of the machine favours nobody."""
    if number % 2 == 0:
        other = reference.measure(load, settings)
        sample = target.measure(load, settings)
    else:
        sample = target.measure(load, settings)
        other = reference.measure(load, settings)
    pair = Pair(target.name, load, number, sample, other)
    figures = f"{sample.rate:,.0f} requests/s, {pair.ratio:.2f} × {reference.name}, p99 {sample.p99_ms} ms"
    print(f"round {number + 1}, {load}, {target.name}: {pair.fault or figures}", file=sys.stderr)
    return pair


def measure_all(targets: list[Target], reference: Target, settings: CompareSettings) -> list[Pair]:
    """Every target under every load, round after round."""
    return [
        measure_pair(target, reference, load, number, settings)
        for number in range(settings.rounds)
        for target in targets
        for load in settings.loads
    ]
