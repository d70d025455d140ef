"""Features by a pretrained encoder, or by a network that learns from the pictures alone: the labels decide."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from training.encoders import Encoder
from training.loop import History
from training.own.pipeline import Features, SoftLabels, Work, features_by, input_of, own_features, soften, tensor_of
from training.soft_labels import Predicted


@dataclass(frozen=True)
class Candidate:
    """Features, and the soft labels that they make of the given ones."""

    images: Tensor
    """(n, channels, height, width) uint8, what a student sees of all pictures."""
    features: Features
    soft: SoftLabels
    encoder: Encoder | None
    """Whose features these are; None where they are a network's that learnt from the pictures alone."""
    history: dict[str, History] = field(default_factory=dict)
    """Of that network."""
    rejected: dict[str, Predicted] = field(default_factory=dict)
    """What the others foretold of the labels, by k-fold, where there were others."""


def best(work: Work, encoder: Encoder | None) -> Candidate:
    """The encoder's features where there is one; compared with own ones, by k-fold, if the settings say so."""
    settings, pictures = work.settings, work.pictures
    by_encoder = features_by(encoder, work) if encoder else None
    resize = by_encoder.resize if by_encoder else "crop" if settings.resize == "auto" else settings.resize
    images = tensor_of(pictures.seen(input_of(work, resize)))
    taught = Candidate(images, by_encoder, soften(work, by_encoder), encoder) if by_encoder else None
    if taught and not settings.compare:
        return taught
    own = images[torch.from_numpy(pictures.training)].to(work.run.device)
    features, history = own_features(own, work, resize)
    alone = Candidate(images, features, soften(work, features), None, {"pretrain": history})
    if taught is None:
        return alone
    first, second = taught.soft.chosen, alone.soft.chosen
    if first.accuracy >= second.accuracy:
        return Candidate(images, taught.features, taught.soft, encoder, rejected={"learnt from the pictures": second})
    return Candidate(images, features, alone.soft, None, alone.history, {"the encoder's": first})
