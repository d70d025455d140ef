"""Last stage: a smaller network, trained from nothing, learns what the teacher and the neighbours say of every image.

Distillation (Hinton et al. 2015, arXiv:1503.02531) as the third step of SimCLRv2 (Chen et al. 2020, arXiv:2006.10029).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.checkpoint import Checkpoint, RandomState, Stateful
from training.data.dataset import Dataset
from training.loop import History, Optimisation, autocast, shuffled_batches, steps_an_epoch
from training.monitor import Monitor
from training.networks import Classifier
from training.pseudo_labels import combine
from training.views.digits import ViewSettings, random_views

BATCH_SIZE = 2000


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
    """Views of an image that the teacher's answer is averaged over."""
    looks: ViewSettings = ViewSettings(
        rotation_degrees=5.0,
        scale=0.06,
        shear=0.08,
        translate_pixels=0.8,
        elastic_pixels=0.4,
        thin=0.0,
        thicken=0.0,
    )
    """What the teacher sees: very gentle views."""
    views: ViewSettings = ViewSettings()
    """What the student sees."""


@torch.no_grad()
def targets(
    teacher: Classifier, data: Dataset, neighbours: Tensor, settings: DistillSettings, generator: torch.Generator
) -> Tensor:
    """What the student shall say of every image: (n, classes) float32, rows sum to 1.

    The normalised product of what the teacher says, on average over views, and of what the neighbours say (n, classes),
    since the two err on different images. The rows of labelled images are their labels.
    """
    teacher.eval()
    answers = []
    for batch in torch.split(data.images, BATCH_SIZE):
        seen = random_views(batch.repeat(settings.teacher_views, 1, 1, 1), settings.looks, generator)
        with autocast(batch.device):
            logits = teacher(seen)
        answers.append(logits.float().softmax(dim=1).view(settings.teacher_views, len(batch), -1).mean(dim=0))
    product = combine(torch.cat(answers), neighbours)
    product[data.is_labelled] = F.one_hot(data.labelled().labels, len(data.class_names)).float()
    return product


def distill(
    student: Classifier,
    images: Tensor,
    wanted: Tensor,
    settings: DistillSettings,
    generator: torch.Generator,
    checkpoint: Checkpoint = Checkpoint(),
    monitor: Monitor = Monitor(),
) -> History:
    """Trains `student` in place.

    Args:
        images: (n, 1, 28, 28) uint8, n at least `batch_size`.
        wanted: (n, classes) float32, rows sum to 1.
    """
    steps = steps_an_epoch(len(images), settings.batch_size)
    optimisation = Optimisation(
        student.train(),
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        steps=settings.epochs * steps,
    )
    parts: dict[str, Stateful] = {"student": student, "optimisation": optimisation, "random": RandomState(generator)}
    stage = checkpoint.stage("distill", parts)
    done = stage.resume()
    total = settings.epochs * steps
    with monitor.stage("distill", steps=total, batch_size=settings.batch_size, done=done * steps) as progress:
        for epoch in range(done, settings.epochs):
            for batch in shuffled_batches(len(images), settings.batch_size, generator):
                views = random_views(images[batch], settings.views, generator)
                with autocast(images.device):
                    logits = student(views)
                loss = F.cross_entropy(logits.float(), wanted[batch])
                progress.update(optimisation.step(loss))
            stage.save(epoch + 1)
    student.eval()
    return optimisation.history
