"""Scores a recipe on the development labels: `python -m training.experiments.develop --help`.

Never touches the test set. Development labels are those of training images 50,000 to 59,999: a run does not see them,
whoever chooses between recipes does. Nothing is exported; the last line on stdout is one JSON document.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated

import numpy as np
import torch
import tyro
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from training.data import mnist
from training.data.dataset import Dataset, keep_labels
from training.evaluate import accuracy
from training.experiments.catalogue import find_experiment
from training.experiments.sharing import SharedCheckpoint, pretraining_folder
from training.networks import Backbone, select_device
from training.pipeline import train
from training.provenance import open_checkpoint
from training.settings import TrainingSettings

FIRST = 50_000
BATCH_SIZE = 1000


@torch.no_grad()
def outputs(model: Callable[[Tensor], Tensor], images: Tensor) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """`model`'s outputs for all images: (n, outputs) float32."""
    return torch.cat([model(batch) for batch in torch.split(images, BATCH_SIZE)]).float().cpu().numpy()


def linear_probe(backbone: Backbone, labelled: Dataset, images: Tensor) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Logistic regression on standardised frozen features of the `labelled` images; its classes for `images`."""
    known, unknown = outputs(backbone.eval(), labelled.images), outputs(backbone, images)
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-3
    regression = LogisticRegression(max_iter=2000).fit((known - mean) / spread, labelled.labels.cpu().numpy())
    predicted: np.ndarray[tuple[int], np.dtype[np.int64]] = regression.predict((unknown - mean) / spread)
    return predicted


def main(settings: Annotated[TrainingSettings, tyro.conf.arg(name="")], experiment: str = "first-200") -> None:
    """Trains with the given settings; scores after every stage.

    Args:
        settings: as in `python -m training`, but for the labels, which the experiment draws.
        experiment: name in training/experiments/catalogue.py: its labels are kept.
    """
    draw = find_experiment(experiment).draw
    device = select_device()
    full = mnist.load(settings.data)[0]
    kept = draw(full.labels, settings.seed)
    settings, data = replace(settings, labels=len(kept)), keep_labels(full, kept)
    shared = {"pretrain": pretraining_folder(data, settings, device)}
    checkpoint = SharedCheckpoint(open_checkpoint(data, settings, device).folder, shared)
    data = data.to(device)
    images, truth = data.images[FIRST:], full.labels[FIRST:].numpy()
    scores: dict[str, dict[str, float]] = {}

    def observe(stage: str, made: torch.nn.Module | Tensor) -> None:
        if isinstance(made, Tensor):
            predicted = made[FIRST:].argmax(dim=1).cpu().numpy()
        elif isinstance(made, Backbone):
            predicted = linear_probe(made, data.labelled(), images)
        else:
            predicted = outputs(made.eval(), images).argmax(axis=1)
        scores[stage] = asdict(accuracy(predicted, truth))
        print(f"{stage}: {scores[stage]['value']:.2%} of {len(truth):,} development labels", file=sys.stderr)

    started = time.perf_counter()
    train(data, settings, checkpoint, observe=observe)
    checkpoint.clear()
    seconds = round(time.perf_counter() - started, 1)
    summary = {"experiment": experiment, "seed": settings.seed, "seconds": seconds, "device": str(device)}
    print(json.dumps({"development_accuracy": scores, **summary}))


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.experiments.develop")
