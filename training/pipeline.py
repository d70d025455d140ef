"""The three stages in a row: images, few of them labelled → classifier. Knows nothing about files or scores."""

from collections.abc import Callable

import torch
from torch import nn

from training.checkpoint import Checkpoint
from training.config import TrainingSettings
from training.data import Dataset
from training.diagnostics import Diagnosis, diagnose
from training.finetune import finetune
from training.loop import History, seeded_generator
from training.networks import Backbone, Classifier
from training.pretrain import pretrain
from training.selftrain import selftrain

Observer = Callable[[str, nn.Module], None]
"""Told each stage's name and what it trained; must draw no random numbers and leave the weights alone."""

LOOKED_AT = 1000
"""Images that the diagnosis after each epoch of pretraining looks at, besides the labelled ones."""


def train(
    data: Dataset,
    settings: TrainingSettings,
    checkpoint: Checkpoint = Checkpoint(),
    observe: Observer | None = None,
) -> tuple[Classifier, dict[str, History]]:
    """Pretrains on all images, fine-tunes on the labelled ones, self-trains on the others; from `checkpoint` on.

    Returns the classifier, and what each stage saw.
    """
    generator = seeded_generator(settings.seed, data.images.device)
    labelled, unlabelled = data.labelled(), data.unlabelled()
    backbone = Backbone().to(data.images.device).to(memory_format=torch.channels_last)

    def look() -> Diagnosis:
        return diagnose(backbone, data.images[:LOOKED_AT], labelled.images, labelled.labels, settings.pretrain.views)

    history = {"pretrain": pretrain(backbone, data.images, settings.pretrain, generator, checkpoint, look)}
    if observe:
        observe("pretrain", backbone)
    classifier, history["finetune"] = finetune(
        backbone,
        labelled.images,
        labelled.labels,
        len(data.class_names),
        settings.finetune,
        generator,
        checkpoint,
    )
    if observe:
        observe("finetune", classifier)
    classifier, history["selftrain"] = selftrain(
        classifier,
        unlabelled.images,
        labelled.images,
        labelled.labels,
        settings.selftrain,
        generator,
        checkpoint,
    )
    if observe:
        observe("selftrain", classifier)
    return classifier, history
