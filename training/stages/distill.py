"""Distillation: a network learns what a teacher says of every image (Hinton et al. 2015, arXiv:1503.02531).

The teacher's probabilities are fixed: a product with what the network's own moving average answers, as `finetune` has
it, lost 4 points on CIFAR-10 (training/experiments/LOG.md). The moving average of the weights is the result.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from training.loop import History, Run, Stage
from training.networks import Classifier
from training.views.pictures import PictureViews

SETTLING = 10_000
"""Images of whose views the averaged weights' normalisation is measured, at most: the average of its statistics lags
behind in a short training. Without views, 64.9 % became 48.0 on textiles, whose texture the views' sampling changes."""

MEMORY = 10
"""A moving average must forget where a training began: it goes back at most this part of all steps."""


@dataclass(frozen=True)
class DistillSettings:
    """How the student learns."""

    images: int = 900_000
    """Images that it sees in all, however often each."""
    epochs: int = 15
    """Passes over all images, at least."""
    most_epochs: int = 100
    """Passes over all images, at most: a student that sees few images oftener learns the teacher's errors by heart."""
    batch_size: int = 128
    """Images a step, at most."""
    decay: float = 0.99
    """Decay of the moving average, a step; less in a short training."""
    learning_rate: float = 6e-3
    """AdamW's peak learning rate."""
    weight_decay: float = 1e-2
    """AdamW's decoupled weight decay."""
    views: PictureViews = PictureViews()
    """The random transforms."""

    def epochs_of(self, images: int) -> int:
        """Passes over so many images."""
        return max(self.epochs, min(self.most_epochs, round(self.images / images)))


def distill(
    name: str, student: Classifier, images: Tensor, targets: Tensor, settings: DistillSettings, run: Run
) -> tuple[Classifier, History]:
    """Trains `student` in place; returns its moving average.

    Args:
        name: the stage's, for checkpoint and progress.
        images: (n, channels, height, width) uint8, n at least `batch_size`.
        targets: (n, classes) float32, rows sum to 1.
    """
    steps = settings.epochs_of(len(images)) * (len(images) // settings.batch_size)
    decay = min(settings.decay, 1 - MEMORY / max(steps, 1)) if steps > MEMORY else 0.0
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(student, multi_avg_fn=average, use_buffers=True).eval()
    stage = Stage(run, name, student, settings, {"averaged": averaged}, lambda: averaged.update_parameters(student))

    def loss(batch: Tensor) -> Tensor:
        return F.cross_entropy(run.forward(student, settings.views.apply(images[batch], run.generator)), targets[batch])

    history = stage.epochs(settings.epochs_of(len(images)), len(images), loss)
    some = torch.randperm(len(images), generator=run.generator, device=run.device)[:SETTLING]
    some = some[: len(some) // settings.batch_size * settings.batch_size]  # each batch counts as much, however small
    shown = (settings.views.apply(images[batch], run.generator) for batch in torch.split(some, settings.batch_size))
    update_bn(shown, averaged)
    averaged.eval()
    result = averaged.module
    assert isinstance(result, Classifier)
    return result, history
