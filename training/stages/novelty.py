"""Knowing what is no digit: a small head on the finished network, fitted to digits and to drawn pictures of others.

It looks at the last feature maps, where more is left of an image than in the features: those keep what tells one digit
from another. Figures, and what else was tried: training/README.md. Knows nothing about files.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.loop import Optimisation
from training.networks import Backbone, Classifier, NoveltyHead
from training.outliers import Kind, digit_kinds, outlier_kinds
from training.views.digits import ViewSettings

HELD_OUT = 6
"""One of so many images, the last ones, is kept from the head: the threshold is set on them."""
FLOOR = 0.05
"""Added to each input's standard deviation: a map that is nearly always 0 must not be blown up."""


@dataclass(frozen=True)
class NoveltySettings:
    """How the head learns what is no digit."""

    steps: int = 2000
    """Optimisation steps."""
    batch_size: int = 1024
    """Pictures a step, about half of them digits."""
    learning_rate: float = 6e-3
    """AdamW's peak learning rate."""
    weight_decay: float = 1e-2
    """AdamW's decoupled weight decay."""
    hidden: int = 64
    """Hidden units of the head."""
    images: int = 50_000
    """Digits that the head learns from, at most."""
    drawn: int = 3000
    """Pictures drawn of each kind that is no digit; views make them more."""
    refused: float = 0.005
    """Share of the digits kept from the head that the threshold refuses."""
    views: ViewSettings = ViewSettings()
    """What else counts as a digit: views of digits."""


def fit_novelty(
    classifier: Classifier, images: Tensor, settings: NoveltySettings, seed: int
) -> tuple[NoveltyHead, float]:
    """Fits a head to the feature maps of `classifier`, which stays as it is.

    All randomness is drawn from generators of its own, on the CPU.

    Args:
        classifier: on the CPU, its backbone a `Backbone`.
        images: (n, 1, 28, 28) uint8 digits on the CPU, at least `HELD_OUT` of them; no labels are needed.

    Returns:
        The head, and the novelty above which an image is taken for no digit.

    Raises:
        ValueError: too few images.
    """
    if len(images) < HELD_OUT:
        raise ValueError(f"{len(images)} images: knowing what is no digit takes at least {HELD_OUT}")
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    kept = len(images) - len(images) // HELD_OUT
    learnt = images[: min(kept, settings.images)]
    digits = digit_kinds(learnt, settings.views, generator)
    others = outlier_kinds(learnt, settings.drawn, random, generator)
    maps = torch.cat([feature_maps(classifier, kind.images) for kind in (*digits.values(), *others.values())])
    is_other = torch.zeros(len(maps))
    is_other[sum(len(kind.images) for kind in digits.values()) :] = 1
    weights = torch.cat([_weights(list(digits.values())), _weights(list(others.values()))])
    head = _fit(maps, is_other, weights, settings, generator)
    with torch.no_grad():
        novelty = head(feature_maps(classifier, images[kept:]))
    return head, float(torch.quantile(novelty, 1 - settings.refused))


@torch.no_grad()
def feature_maps(classifier: Classifier, images: Tensor, batch_size: int = 250) -> Tensor:
    """The backbone's last maps of (n, 1, 28, 28) uint8 images: (n, maps) float32."""
    backbone = classifier.backbone
    assert isinstance(backbone, Backbone)
    backbone.eval()
    return torch.cat([backbone.maps(batch) for batch in torch.split(images, batch_size)])


def _weights(kinds: list[Kind]) -> Tensor:
    """How probably each picture of one side is drawn: (n,) float32, sums to 1."""
    total = sum(kind.weight for kind in kinds)
    return torch.cat([torch.full((len(kind.images),), kind.weight / total / len(kind.images)) for kind in kinds])


def _fit(
    maps: Tensor, is_other: Tensor, weights: Tensor, settings: NoveltySettings, generator: torch.Generator
) -> NoveltyHead:
    mean, spread = maps.mean(dim=0), maps.std(dim=0) + FLOOR
    maps = (maps - mean) / spread
    head = NoveltyHead(maps.shape[1], settings.hidden, generator)
    optimisation = Optimisation(
        head, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay, steps=settings.steps
    )
    # All draws at once: each call would sum up the weights anew.
    draws = torch.multinomial(weights, settings.steps * settings.batch_size, replacement=True, generator=generator)
    for chosen in torch.split(draws, settings.batch_size):
        optimisation.step(F.binary_cross_entropy_with_logits(head.log_odds(maps[chosen]), is_other[chosen]))
    _take_unscaled(head, mean, spread)
    return head.eval()


@torch.no_grad()
def _take_unscaled(head: NoveltyHead, mean: Tensor, spread: Tensor) -> None:
    """Moves the scaling of the inputs into the first layer, so that the served graph need not do it."""
    head.hidden.weight.div_(spread)
    head.hidden.bias.sub_(head.hidden.weight @ mean)
