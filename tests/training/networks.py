"""What the tests of training build: untrained networks of the served size, and a run on the CPU."""

from functools import partial

import torch

from training.loop import Run, seeded_generator
from training.losses import nt_xent_loss
from training.networks import Backbone, Classifier, new_classifier

CPU = torch.device("cpu")
SHAPE, WIDTHS = (1, 28, 28), (16, 16, 32)
NT_XENT = partial(nt_xent_loss, temperature=0.5)


def small_backbone() -> Backbone:
    return Backbone(SHAPE, WIDTHS)


def small_classifier() -> Classifier:
    return new_classifier(SHAPE, WIDTHS, 10)


def cpu_run(seed: int = 0) -> Run:
    return Run(seeded_generator(seed, CPU))
