"""The stages in a row: images, few of them labelled → classifier. Knows nothing about files or scores."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.checkpoint import Checkpoint
from training.data.dataset import Dataset
from training.diagnostics import Diagnosis, diagnose
from training.loop import History, seeded_generator
from training.monitor import Monitor
from training.networks import TEACHER_WIDTHS, Backbone, Classifier, served_student
from training.settings import TrainingSettings
from training.stages.distill import distill, targets
from training.stages.finetune import finetune
from training.stages.pretrain import pretrain
from training.stages.propagate import propagate
from training.stages.selftrain import selftrain

Observer = Callable[[str, nn.Module | Tensor], None]
"""Told each stage's name and what it made: a network, or the probabilities (n, classes) of all images.

Must draw no random numbers and leave the weights alone.
"""

LOOKED_AT = 1000
"""Images that the diagnosis after each epoch of pretraining looks at, besides the labelled ones."""


def train(
    data: Dataset,
    settings: TrainingSettings,
    checkpoint: Checkpoint = Checkpoint(),
    monitor: Monitor = Monitor(),
    observe: Observer = lambda _stage, _made: None,
    new_student: Callable[[int], Classifier] = served_student,
) -> tuple[Classifier, dict[str, History]]:
    """Trains a teacher on images and few labels, and a smaller network by it; from `checkpoint` on.

    `new_student` makes the smaller network for so many classes. Returns that network, and what each stage saw.
    """
    generator = seeded_generator(settings.seed, data.images.device)
    labelled, classes = data.labelled(), len(data.class_names)
    backbone = Backbone(TEACHER_WIDTHS).to(data.images.device).to(memory_format=torch.channels_last)

    def look() -> Diagnosis:
        return diagnose(backbone, data.images[:LOOKED_AT], labelled.images, labelled.labels, settings.pretrain.views)

    history = {"pretrain": pretrain(backbone, data.images, settings.pretrain, generator, checkpoint, monitor, look)}
    observe("pretrain", backbone)
    neighbours = propagate(backbone, data, settings.propagate)
    observe("propagate", neighbours)
    teacher, history["finetune"] = finetune(
        backbone, labelled.images, labelled.labels, classes, settings.finetune, generator, checkpoint, monitor
    )
    observe("finetune", teacher)
    teacher, history["selftrain"] = selftrain(
        teacher, data, neighbours, settings.selftrain, generator, checkpoint, monitor
    )
    observe("selftrain", teacher)
    wanted = targets(teacher, data, neighbours, settings.distill, generator)
    observe("targets", wanted)
    student = new_student(classes).to(data.images.device).to(memory_format=torch.channels_last)
    history["distill"] = distill(student, data.images, wanted, settings.distill, generator, checkpoint, monitor)
    observe("distill", student)
    return student, history
