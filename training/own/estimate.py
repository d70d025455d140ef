"""How long a training will take, and how much memory and disk, told before it begins."""

import sys
import time

import numpy as np
import torch
from torch import nn

from training.encoders import Encoder
from training.loop import Optimisation, Run
from training.networks import Classifier, PictureBackbone, select_device
from training.own.pipeline import Work, seen_by_both
from training.own.settings import OwnSettings
from training.own.shown import views_each

TRIED = 3
"""Steps that are timed."""
OTHER_S = 30.0
"""Checks, pictures of the report, export and verification, about."""
BASE_MB = 900
"""Memory of the libraries, about."""
FEATURES = 1280
"""Numbers that an encoder makes of a picture, about."""


def tell(work: Work, encoder: Encoder | None) -> None:
    """Says it on stderr; what the cache already holds makes it shorter."""
    pictures, settings, training = work.pictures, work.settings, len(work.pictures.training)
    side, channels = settings.size or pictures.side(), pictures.channels()
    with torch.random.fork_rng():  # the weights of the training to come must not depend on this
        step = seconds_a_image((channels, side, side), len(pictures.class_names), settings)
    views = training * views_each(training) if encoder and settings.serve == "student" else 0
    seconds = OTHER_S
    if settings.serve == "student":
        student = seen_by_both(settings.student) if views else settings.student
        seconds += student.epochs_of(training + views) * (training + views) * step
    if not pictures.held_out.any():
        seconds *= 1.25
    disk = (len(pictures) + views) * side * side * channels
    if encoder:
        seconds += (len(pictures) + views) * encoding_s(encoder)
        disk += (2 * len(pictures) + views) * 2 * FEATURES
    if encoder is None or settings.compare:
        seconds += settings.pretrain.epochs_of(training) * training * 2 * step
    memory = (
        BASE_MB
        + ((len(pictures) + views) * side * side * channels * 2 + (training + views // 2) * FEATURES * 16) // 1_000_000
    )
    print(
        f"this will take about {seconds / 60:.0f} minutes, {memory / 1000:.1f} GB of memory and "
        f"{max(disk // 1_000_000, 1):,} MB in {settings.cache}/",
        file=sys.stderr,
        flush=True,
    )


def seconds_a_image(shape: tuple[int, int, int], classes: int, settings: OwnSettings) -> float:
    """Time that the student takes to learn from one image once."""
    size, views = settings.student.batch_size, settings.student.views
    device = select_device()
    run = Run(torch.Generator(device=device).manual_seed(0))
    backbone = PictureBackbone(shape, settings.widths)
    student = run.place(Classifier(backbone, nn.Linear(backbone.dim, classes)))
    optimisation = Optimisation(student, settings.student, TRIED + 1)
    images = torch.zeros((size, *shape), dtype=torch.uint8, device=run.device)

    def step() -> None:
        optimisation.step(run.forward(student, views.apply(images, run.generator)).logsumexp(dim=1).mean())

    step()
    started = time.perf_counter()
    for _ in range(TRIED):
        step()
    return (time.perf_counter() - started) / TRIED / size


def encoding_s(encoder: Encoder) -> float:
    """Time that the encoder takes for one image."""
    run, images = encoder.opened(), np.zeros((16, 3, encoder.side, encoder.side), np.uint8)
    run(images)
    started = time.perf_counter()
    run(images)
    return (time.perf_counter() - started) / len(images)
