"""What a training says at its end, a few lines on stderr."""

import sys

from models.manifest import Manifest
from training.own.made import Made


def tell(made: Made, manifest: Manifest) -> None:
    """Which features and soft labels were chosen and why, and how good the result is."""
    for resize, predicted in made.candidate.features.resize_scores.items():
        say(f"resize {resize}: {predicted.accuracy:.1%} of the labels foretold by k-fold")
    for name, predicted in made.candidate.rejected.items():
        say(f"features {name}: {predicted.accuracy:.1%} of the labels foretold by k-fold (not taken)")
    for method, predicted in made.candidate.soft.scores.items():
        chosen = " (chosen)" if method == made.candidate.soft.method else ""
        say(f"soft labels by {method}: {predicted.accuracy:.1%}, balanced {predicted.balanced_accuracy:.1%}{chosen}")
    if not manifest.metrics:
        say("there are too few labels to say how good it is")
    for name, one in manifest.metrics.items():
        say(f"{name.replace('_', ' ')} {one.value:.1%} (95 % interval {one.low:.1%} to {one.high:.1%}, n = {one.n:,})")
    for name, cost in zip(("served network", "encoder"), made.costs_ms, strict=False):
        say(f"{name}: {cost:.2f} ms a picture on one core")


def say(line: str) -> None:
    """Writes a line to stderr."""
    print(line, file=sys.stderr, flush=True)
