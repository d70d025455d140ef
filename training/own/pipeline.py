"""The stages in a row: a person's pictures, few of them labelled → a network that names them. Writes no bundle."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.manifest import InputSpec
from models.pictures.preparation import as_input
from training.data.dataset import UNLABELLED
from training.encoders import Encoder
from training.loop import History, Run
from training.losses import nt_xent_loss
from training.networks import Classifier, PictureBackbone
from training.own.features import choose_resize, encoded
from training.own.pictures import Pictures
from training.own.settings import OwnSettings
from training.soft_labels import Method, Predicted, SoftLabeller, chosen_method, folds
from training.stages.distill import DistillSettings, distill
from training.stages.pretrain import pretrain

Labels = NDArray[np.int64]
BATCH_SIZE = 500
"""Images at a time whose features are computed."""
GRID = 2
"""Rows and columns of means of the last maps that are own features, besides the mean of all."""
REFINED = 0.25
"""Share of the epochs, and of the learning rate, with which the student learns the labels that it was scored on."""


@dataclass(frozen=True)
class Features:
    """What similarity and soft labels are made of."""

    values: NDArray[np.float32]
    """(n, dim), of the images to train on."""
    resize: str
    resize_scores: dict[str, Predicted]
    knowledge: str
    """As the manifest tells it."""
    backbone: PictureBackbone | None
    """The network that was pretrained on the images themselves, where it was."""


@dataclass(frozen=True)
class Trained:
    """What training gives."""

    student: Classifier
    targets: NDArray[np.float32]
    """(n, classes): soft labels of the images to train on."""
    scores: dict[Method, Predicted]
    """By k-fold, of each way to soft labels."""
    method: Method
    fold: Predicted | None
    """What the student, which had not seen these labels, took their images for; None where there is a test set."""
    history: dict[str, History]


def input_of(pictures: Pictures, settings: OwnSettings, resize: str) -> InputSpec:
    """What the served network sees."""
    side = settings.size or pictures.side()
    return InputSpec(resize, side, side, pictures.channels())


def tensor_of(pixels: NDArray[np.uint8]) -> Tensor:
    """Pictures (n, height, width[, 3]) → (n, channels, height, width) uint8."""
    return torch.from_numpy(as_input(list(pixels)))


def features_by(encoder: Encoder, pictures: Pictures, training: NDArray[np.int64], settings: OwnSettings) -> Features:
    """Those of an encoder, with the way to a square that the labels like best."""
    chosen = choose_resize(pictures, encoder, settings.resize, training, settings.soft_labels)
    values = encoded(pictures, encoder, chosen.resize, training.tolist())
    return Features(values, chosen.resize, chosen.scores, encoder.knowledge, None)


def own_features(images: Tensor, settings: OwnSettings, run: Run, resize: str) -> tuple[Features, History]:
    """Those of a network that learns from the images alone."""
    _, *shape = images.shape
    backbone = run.place(PictureBackbone((shape[0], shape[1], shape[2]), settings.widths))
    tuning = replace(settings.pretrain, batch_size=min(settings.pretrain.batch_size, len(images)))
    objective = partial(nt_xent_loss, temperature=settings.pretrain.temperature)
    history = pretrain(backbone, images, tuning, run, objective)
    values = torch.cat([_pooled(backbone, batch) for batch in torch.split(images, BATCH_SIZE)]).cpu().numpy()
    return Features(values, resize, {}, "none", backbone), history


@torch.no_grad()
def _pooled(backbone: PictureBackbone, images: Tensor) -> Tensor:
    """Means of the last maps, of all and of parts: (n, dim) float32, each half with about the same norm."""
    maps = backbone.eval().layers(images)
    parts = F.adaptive_avg_pool2d(maps, GRID).flatten(1)
    whole = maps.mean(dim=(2, 3))
    return torch.cat([F.normalize(whole, dim=1), F.normalize(parts, dim=1)], dim=1)


def train(
    images: Tensor, labels: Labels, classes: int, features: Features, settings: OwnSettings, run: Run, tested: bool
) -> Trained:
    """Soft labels, then the student.

    Args:
        images: (n, channels, height, width) uint8 to train on. labels: (n,), or UNLABELLED.
        tested: whether there is a test set; otherwise the student is scored on one fold of the labels first.
    """
    frequencies = np.array(settings.frequencies, np.float32) if settings.frequencies else None
    labeller = SoftLabeller(features.values, classes, settings.soft_labels, frequencies)
    scores = labeller.hidden(labels)
    method = chosen_method(scores)
    backbone = features.backbone or PictureBackbone(_shape(images), settings.widths)
    student = run.place(Classifier(backbone, nn.Linear(backbone.dim, classes)))
    tuning = replace(settings.student, batch_size=min(settings.student.batch_size, len(images)))

    def learn(name: str, student: Classifier, shown: Labels, tuning: DistillSettings) -> tuple[Classifier, History]:
        targets = torch.from_numpy(labeller.spread(shown, [method])[method]).to(run.device)
        return distill(name, student, images, targets, tuning, run)

    fold, history = None, {}
    if not tested:
        known = np.flatnonzero(labels != UNLABELLED)
        hidden = known[folds(labels[known], settings.soft_labels.folds)[0]]
        shown = labels.copy()
        shown[hidden] = UNLABELLED
        student, history["student"] = learn("student", student, shown, tuning)
        fold = Predicted(labels[hidden], answers_of(student, images[hidden]))
        tuning = refined(tuning)
    name = "refined" if fold else "student"
    student, history[name] = learn(name, student, labels, tuning)
    targets = labeller.spread(labels, [method])[method]
    return Trained(student, targets, scores, method, fold, history)


def refined(tuning: DistillSettings) -> DistillSettings:
    """For the student that knows nearly all labels already."""
    return replace(
        tuning,
        images=round(tuning.images * REFINED),
        epochs=max(1, round(tuning.epochs * REFINED)),
        learning_rate=tuning.learning_rate * REFINED,
    )


@torch.no_grad()
def answers_of(student: Classifier, images: Tensor) -> Labels:
    """(n,) class indices that the student answers."""
    student.eval()
    return torch.cat([student(batch).argmax(dim=1) for batch in torch.split(images, BATCH_SIZE)]).cpu().numpy()


def _shape(images: Tensor) -> tuple[int, int, int]:
    _, channels, height, width = images.shape
    return channels, height, width
