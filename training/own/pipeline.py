"""The stages in a row: a person's pictures, few of them labelled → a network that names them. Writes no bundle."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.manifest import InputSpec
from models.pictures.preparation import as_input
from training.checkpoint import Checkpoint
from training.encoders import Encoder
from training.loop import History, Run
from training.losses import nt_xent_loss
from training.networks import Classifier, PictureBackbone
from training.own.calibration import expected_accuracy
from training.own.encoder_head import answers_by, fit_head
from training.own.features import choose_resize, encoded
from training.own.pictures import Pictures
from training.own.settings import OwnSettings
from training.own.shown import Shown
from training.provenance import surroundings
from training.soft_labels import Method, Predicted, SoftLabeller, chosen_method
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
class SoftLabels:
    """What a few labels say of every image to train on."""

    labeller: SoftLabeller
    labels: Labels
    """(n,) class indices, or UNLABELLED."""
    scores: dict[Method, Predicted]
    """By k-fold, of each way to soft labels."""
    method: Method
    """The one that was chosen."""

    @property
    def chosen(self) -> Predicted:
        """The score of the chosen way."""
        return self.scores[self.method]

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """(n, classes), rows sum to 1."""
        return self.without(self.labels)

    @property
    def accuracy(self) -> float:
        """Share of all images that they are likely right about."""
        return expected_accuracy(self.chosen, self.values.mean(axis=0))

    def without(self, labels: Labels) -> NDArray[np.float32]:
        """What fewer labels, (n,), would have said: (n, classes), rows sum to 1."""
        return self.labeller.spread(labels, [self.method])[self.method]


@dataclass(frozen=True)
class Student:
    """The small network that is served."""

    classifier: Classifier
    fold: Predicted | None
    """What it took the images of labels for that it had not seen; None where there is a test set."""
    history: dict[str, History]


@dataclass(frozen=True)
class Work:
    """What there is to do: pictures, and how."""

    pictures: Pictures
    settings: OwnSettings
    run: Run

    @property
    def labels(self) -> Labels:
        """(n,), of the images to train on."""
        return self.pictures.labels[self.pictures.training]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.pictures.class_names)


def input_of(work: Work, resize: str) -> InputSpec:
    """What a student sees."""
    side = work.settings.size or work.pictures.side()
    return InputSpec(resize, side, side, work.pictures.channels())


def tensor_of(pixels: NDArray[np.uint8]) -> Tensor:
    """Pictures (n, height, width[, 3]) → (n, channels, height, width) uint8."""
    return torch.from_numpy(as_input(list(pixels)))


def features_by(encoder: Encoder, work: Work) -> Features:
    """Those of an encoder, with the way to a square that the labels like best."""
    pictures, settings = work.pictures, work.settings
    chosen = choose_resize(pictures, encoder, settings.resize, settings.soft_labels)
    values = encoded(pictures, encoder, chosen.resize, pictures.training.tolist())
    return Features(values, chosen.resize, chosen.scores, encoder.knowledge, None)


def own_features(images: Tensor, work: Work, resize: str) -> tuple[Features, History]:
    """Those of a network that learns from `images` (n, channels, height, width) uint8 alone; the cache keeps it."""
    settings = work.settings
    key = hashlib.sha256(images.cpu().numpy().tobytes())
    key.update(repr((settings.pretrain, settings.widths, settings.seed, surroundings(images.device))).encode())
    run = replace(work.run, checkpoint=Checkpoint(settings.cache / "pretrained" / key.hexdigest()[:16]))
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


def soften(work: Work, features: Features) -> SoftLabels:
    """Chooses the way to soft labels by k-fold."""
    settings = work.settings
    frequencies = np.array(settings.frequencies, np.float32) if settings.frequencies else None
    groups = work.pictures.groups[work.pictures.training]
    labeller = SoftLabeller(features.values, work.classes, settings.soft_labels, frequencies, groups)
    scores = labeller.hidden(work.labels)
    return SoftLabels(labeller, work.labels, scores, chosen_method(scores))


def learn(images: Tensor, work: Work, features: Features, soft: SoftLabels, shown: Shown | None) -> Student:
    """Trains the student, from a pretrained backbone where there is one.

    Without a test set it first learns without one fold of the labels, which nothing has seen that it learns from, is
    scored on these, and learns them afterwards.

    Args:
        images: (n, channels, height, width) uint8 to train on.
        shown: views of them that the encoder has seen too, where there are any.
    """
    labels, settings = work.labels, work.settings
    _, channels, height, width = images.shape
    backbone = features.backbone or PictureBackbone((channels, height, width), settings.widths)
    student = work.run.place(Classifier(backbone, nn.Linear(backbone.dim, work.classes)))
    tuning = settings.student
    if shown is not None:
        images = torch.cat([images, shown.images.to(images.device)])
        tuning = seen_by_both(tuning)
    tuning = replace(tuning, batch_size=min(tuning.batch_size, len(images)))

    def stage(
        name: str, student: Classifier, soft: NDArray[np.float32], tuning: DistillSettings
    ) -> tuple[Classifier, History]:
        targets = torch.from_numpy(targets_of(work, features, soft, shown)).to(images.device)
        return distill(name, student, images, targets, tuning, work.run)

    cut = None if len(work.pictures.test) else next(soft.labeller.cuts(labels), None)
    if cut is None:  # a test set, or too few labels to do without some
        student, history = stage("student", student, soft.values, tuning)
        return Student(student, None, {"student": history})
    hidden, known = cut
    student, history = stage("student", student, soft.without(known), tuning)
    fold = Predicted(labels[hidden], answers_of(student, images[torch.from_numpy(hidden)]))
    student, further = stage("refined", student, soft.values, refined(tuning))
    return Student(student, fold, {"student": history, "refined": further})


def targets_of(work: Work, features: Features, soft: NDArray[np.float32], shown: Shown | None) -> NDArray[np.float32]:
    """What the student is to say of each image, and of each view after them: (n, classes), rows sum to 1.

    Of a view it is what a linear classifier of the encoder's features says, which has learnt the images' soft labels.
    """
    if shown is None:
        return soft
    head = fit_head(features.values, soft, work.settings.soft_labels.strength, np.zeros(1, np.int64))
    return np.concatenate([soft, answers_by(head, shown.features).probabilities])


def seen_by_both(tuning: DistillSettings) -> DistillSettings:
    """For a student whose views are drawn already: at most mirrored, and half as long, since more gained nothing."""
    return replace(tuning, views=tuning.views.mirrored(), images=tuning.images // 2)


def refined(tuning: DistillSettings) -> DistillSettings:
    """For the student that knows nearly all labels already."""
    return replace(
        tuning,
        images=round(tuning.images * REFINED),
        epochs=max(1, round(tuning.epochs * REFINED)),
        most_epochs=max(1, round(tuning.most_epochs * REFINED)),
        learning_rate=tuning.learning_rate * REFINED,
    )


@torch.no_grad()
def answers_of(student: Classifier, images: Tensor) -> Labels:
    """(n,) class indices that the student answers."""
    student.eval()
    return torch.cat([student(batch).argmax(dim=1) for batch in torch.split(images, BATCH_SIZE)]).cpu().numpy()
