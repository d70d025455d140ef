"""Samples → medians and their spread. Samples with a fault are counted and left out."""

from dataclasses import dataclass
from statistics import median

from loadtest.compare.rounds import Pair
from loadtest.compare.settings import Heads, Load
from loadtest.compare.wrk import Sample


@dataclass(frozen=True)
class Figures:
    """A target under one load; medians over the rounds."""

    target: str
    heads: Heads
    concurrency: int
    samples: int
    """How many count."""
    faults: int
    """How many do not, for errors."""
    rate: float
    """Requests a second."""
    p50_ms: float
    p99_ms: float
    ratio: float
    """To the reference measured beside it, in requests a second."""
    ratio_min: float
    ratio_max: float


def summarise(pairs: list[Pair]) -> list[Figures]:
    """The figures of each target and load, in the pairs' order; none where no sample counts."""
    groups: dict[tuple[str, Load], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault((pair.target, pair.load), []).append(pair)
    sound = {key: [pair for pair in group if pair.fault is None] for key, group in groups.items()}
    return [figures(good, len(groups[key]) - len(good)) for key, good in sound.items() if good]


def figures(pairs: list[Pair], faults: int) -> Figures:
    """Of pairs without a fault, all of one target and load."""
    samples, ratios = [pair.sample for pair in pairs], [pair.ratio for pair in pairs]
    spread = (median(ratios), min(ratios), max(ratios))
    return _figures(pairs[0].target, pairs[0].load, samples, faults, spread)


def reference_figures(name: str, pairs: list[Pair]) -> list[Figures]:
    """The reference's own figures, of all its samples."""
    found = []
    for load in dict.fromkeys(pair.load for pair in pairs):
        samples = [pair.reference for pair in pairs if pair.load == load]
        sound = [sample for sample in samples if sample.fault is None]
        if sound:
            faults = len(samples) - len(sound)
            found.append(_figures(name, load, sound, faults, (1.0, 1.0, 1.0)))
    return found


def _figures(
    target: str, load: Load, samples: list[Sample], faults: int, spread: tuple[float, float, float]
) -> Figures:
    ratio, lowest, highest = (round(value, 4) for value in spread)
    return Figures(
        target=target,
        heads=load.heads,
        concurrency=load.connections,
        samples=len(samples),
        faults=faults,
        rate=round(median(sample.rate for sample in samples), 1),
        p50_ms=round(median(sample.p50_ms for sample in samples), 3),
        p99_ms=round(median(sample.p99_ms for sample in samples), 3),
        ratio=ratio,
        ratio_min=lowest,
        ratio_max=highest,
    )
