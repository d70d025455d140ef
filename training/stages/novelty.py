"""Novelty detection: a small head on the finished network, fitted to digits and to drawn pictures of other things.

Outlier exposure (Hendrycks et al. 2019, arXiv:1812.04606). The head reads the last feature maps, not the features:
these are trained to tell digits apart, and lose what tells digits from other things. Figures are in training/README.md,
negative results in training/experiments/LOG.md. Knows nothing about files.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.loop import Optimisation
from training.networks import Classifier, NoveltyHead
from training.outliers import Kind, digit_kinds, outlier_kinds
from training.views.digits import ViewSettings

HELD_OUT = 6
"""The last sixth of the images is held out of the head's training: the threshold is a quantile of its novelty."""
FLOOR = 0.05
"""Added to each input's standard deviation: inputs that are nearly always 0 must not be amplified."""


@dataclass(frozen=True)
class NoveltySettings:
    """How the head learns to separate digits from other pictures."""

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
    """Digits that the head is fitted to, at most."""
    drawn: int = 3000
    """Pictures drawn of each kind of outlier; views multiply them."""
    refused: float = 0.005
    """Share of the held-out digits that the threshold refuses."""
    views: ViewSettings = ViewSettings(thin=0.9)
    """The random transforms of digits whose results still count as digits."""


def fit_novelty(
    classifier: Classifier, images: Tensor, settings: NoveltySettings, seed: int
) -> tuple[NoveltyHead, float]:
    """Fits a head to the feature maps of `classifier`, whose weights do not change.

    All random numbers come from generators made here of `seed`, on the CPU.

    Args:
        classifier: on the CPU.
        images: (n, 1, 28, 28) uint8 digits on the CPU, at least `HELD_OUT` of them; no labels are needed.

    Returns:
        The head, and the novelty above which an image is taken for no digit.

    Raises:
        ValueError: too few images.
    """
    if len(images) < HELD_OUT:
        raise ValueError(f"{len(images)} images: the novelty head needs at least {HELD_OUT}")
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    fitted = len(images) - len(images) // HELD_OUT
    training = images[: min(fitted, settings.images)]
    digits = digit_kinds(training, settings.views, generator)
    others = outlier_kinds(training, settings.drawn, random, generator)
    maps = torch.cat([feature_maps(classifier, kind.images) for kind in (*digits.values(), *others.values())])
    is_other = torch.zeros(len(maps))
    is_other[sum(len(kind.images) for kind in digits.values()) :] = 1
    weights = torch.cat([_weights(list(digits.values())), _weights(list(others.values()))])
    head = _fit(maps, is_other, weights, settings, generator)
    with torch.no_grad():
        novelty = head(feature_maps(classifier, images[fitted:]))
    return head, float(torch.quantile(novelty, 1 - settings.refused))


@torch.no_grad()
def feature_maps(classifier: Classifier, images: Tensor, batch_size: int = 250) -> Tensor:
    """The backbone's last maps of (n, channels, height, width) uint8 images: (n, maps) float32."""
    classifier.eval()
    return torch.cat([classifier.backbone.maps(batch) for batch in torch.split(images, batch_size)])


def _weights(kinds: list[Kind]) -> Tensor:
    """Probability that each picture of these kinds is drawn: (n,) float32, sums to 1."""
    total = sum(kind.weight for kind in kinds)
    return torch.cat([torch.full((len(kind.images),), kind.weight / total / len(kind.images)) for kind in kinds])


def _fit(
    maps: Tensor, is_other: Tensor, weights: Tensor, settings: NoveltySettings, generator: torch.Generator
) -> NoveltyHead:
    mean, spread = maps.mean(dim=0), maps.std(dim=0) + FLOOR
    maps = (maps - mean) / spread
    head = NoveltyHead(maps.shape[1], settings.hidden, generator)
    optimisation = Optimisation(head, settings, settings.steps)
    # One call for all draws: each call computes the weights' cumulative sum again.
    draws = torch.multinomial(weights, settings.steps * settings.batch_size, replacement=True, generator=generator)
    for chosen in torch.split(draws, settings.batch_size):
        optimisation.step(F.binary_cross_entropy_with_logits(head.log_odds(maps[chosen]), is_other[chosen]))
    with torch.no_grad():  # the first layer takes the standardisation in: the served graph then needs no node for it
        head.hidden.weight.div_(spread)
        head.hidden.bias.sub_(head.hidden.weight @ mean)
    return head.eval()
