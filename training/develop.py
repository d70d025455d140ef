"""Scores a recipe on the development labels: `python -m training.develop --help`. Never touches the test set.

Development labels are those of training images 50,000 to 59,999: a run does not see them, whoever chooses between
recipes does. Nothing is exported; the last line on stdout is one JSON document.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch
import tyro
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from training.config import TrainingSettings
from training.data import forget_labels, load_mnist
from training.evaluate import accuracy
from training.networks import Backbone, select_device
from training.pipeline import train

FIRST = 50_000
BATCH_SIZE = 1000


@torch.no_grad()
def answers(model: Callable[[Tensor], Tensor], images: Tensor) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """`model`'s outputs for all images: (n, outputs) float32."""
    return torch.cat([model(batch) for batch in torch.split(images, BATCH_SIZE)]).float().cpu().numpy()


def linear_probe(
    backbone: Backbone, images: Tensor, labels: Tensor, judged: Tensor
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Logistic regression on standardised frozen features of the labelled images; its classes for `judged`."""
    known, unknown = answers(backbone.eval(), images), answers(backbone, judged)
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-3
    regression = LogisticRegression(max_iter=2000).fit((known - mean) / spread, labels.cpu().numpy())
    predicted: np.ndarray[tuple[int], np.dtype[np.int64]] = regression.predict((unknown - mean) / spread)
    return predicted


def main() -> int:
    """Trains with the given settings; scores after every stage."""
    settings = tyro.cli(TrainingSettings, prog="python -m training.develop")
    device = select_device()
    everything = load_mnist(settings.data)[0]
    data = forget_labels(everything, keep=settings.labels).to(device)
    judged, truth = data.images[FIRST:], everything.labels[FIRST:].numpy()
    scores: dict[str, dict[str, float]] = {}

    def observe(stage: str, made: torch.nn.Module | Tensor) -> None:
        if isinstance(made, Tensor):
            predicted = made[FIRST:].argmax(dim=1).cpu().numpy()
        elif isinstance(made, Backbone):
            few = data.labelled()
            predicted = linear_probe(made, few.images, few.labels, judged)
        else:
            predicted = answers(made.eval(), judged).argmax(axis=1)
        scores[stage] = asdict(accuracy(predicted, truth))
        print(f"{stage}: {scores[stage]['value']:.2%} of {len(truth):,} development labels", file=sys.stderr)

    started = time.perf_counter()
    train(data, settings, observe=observe)
    seconds = round(time.perf_counter() - started, 1)
    print(
        json.dumps({"development_accuracy": scores, "seed": settings.seed, "seconds": seconds, "device": str(device)})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
