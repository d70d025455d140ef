"""Distillation: a smaller network, from random weights, learns the teacher's and the propagated probabilities.

Hinton et al. 2015 (arXiv:1503.02531), as the third step of SimCLRv2 (Chen et al. 2020, arXiv:2006.10029).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.dataset import Dataset
from training.loop import History, Run, Stage
from training.networks import Classifier
from training.pseudo_labels import combine
from training.views.digits import ViewSettings, random_views

BATCH_SIZE = 2000
"""Images that the teacher labels at a time, each in `teacher_views` views: bounds the memory."""


@dataclass(frozen=True)
class DistillSettings:
    """How the student learns from the teacher."""

    epochs: int = 8
    """Passes over all images."""
    batch_size: int = 512
    """Images a step."""
    learning_rate: float = 5e-3
    """AdamW's peak learning rate."""
    weight_decay: float = 1e-2
    """AdamW's decoupled weight decay."""
    teacher_views: int = 4
    """Views of an image that the teacher's probabilities are averaged over."""
    gentle_views: ViewSettings = ViewSettings(
        rotation_degrees=5.0, scale=0.06, shear=0.08, translate_pixels=0.8, elastic_pixels=0.4, thin=0.0, thicken=0.0
    )
    """The random transforms of what the teacher sees."""
    views: ViewSettings = ViewSettings()
    """The random transforms of what the student sees."""


@torch.no_grad()
def distillation_targets(
    teacher: Classifier, data: Dataset, neighbours: Tensor, settings: DistillSettings, run: Run
) -> Tensor:
    """Class probabilities that the student learns, of every image: (n, classes) float32, rows sum to 1.

    The normalised product of the teacher's probabilities, averaged over views, and the propagated labels `neighbours`
    (n, classes), since the two err on different images. The rows of labelled images are their labels, one-hot.
    """
    teacher.eval()
    averages = []
    for batch in torch.split(data.images, BATCH_SIZE):
        views = random_views(batch.repeat(settings.teacher_views, 1, 1, 1), settings.gentle_views, run.generator)
        probabilities = run.forward(teacher, views).softmax(dim=1)
        averages.append(probabilities.view(settings.teacher_views, len(batch), -1).mean(dim=0))
    product = combine(torch.cat(averages), neighbours)
    product[data.is_labelled] = F.one_hot(data.labelled().labels, len(data.class_names)).float()
    return product


def distill(student: Classifier, images: Tensor, targets: Tensor, settings: DistillSettings, run: Run) -> History:
    """Trains `student` in place.

    Args:
        images: (n, channels, height, width) uint8, n at least `batch_size`.
        targets: (n, classes) float32, rows sum to 1.
    """

    def loss(batch: Tensor) -> Tensor:
        views = random_views(images[batch], settings.views, run.generator)
        return F.cross_entropy(run.forward(student, views), targets[batch])

    return Stage(run, "distill", student, settings).epochs(settings.epochs, len(images), loss)
