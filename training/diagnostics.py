"""Is pretraining learning anything? Figures of the embeddings on the unit sphere, no training involved."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.networks import AnyBackbone
from training.views import Views

COLLAPSED_RANK = 4.0
COLLAPSED_UNIFORMITY = -0.5


@dataclass(frozen=True)
class Diagnosis:
    """Figures of a backbone's features."""

    alignment: float
    """Mean squared distance of two views of an image; 0 is perfect, and also what collapse gives."""
    uniformity: float
    """Logarithm of the mean Gaussian potential of two images; 0 is collapse, -3 is well spread."""
    rank: float
    """Effective number of dimensions of the features (RankMe)."""
    knn: float
    """Share of the labelled images whose nearest other labelled image has their label."""

    def warning(self) -> str | None:
        """A collapse in words, with a remedy; None if there is none."""
        if self.uniformity > COLLAPSED_UNIFORMITY:
            return "the features of different images are nearly the same: raise the temperature or the batch size"
        if self.rank < COLLAPSED_RANK:
            return "the features use only a few dimensions: lower the learning rate, or make the views less alike"
        return None

    def __str__(self) -> str:
        return (
            f"alignment {self.alignment:.3f}, uniformity {self.uniformity:.2f}, rank {self.rank:.1f}, "
            f"nearest labelled neighbour right {self.knn:.1%}"
        )


@torch.no_grad()
def diagnose(backbone: AnyBackbone, images: Tensor, labelled: Tensor, labels: Tensor, views: Views) -> Diagnosis:
    """Figures of the backbone on uint8 `images` and on the `labelled` ones, (n, channels, height, width) both.

    Changes neither weights nor mode nor any random state.
    """
    training = backbone.training
    backbone.eval()
    generator = torch.Generator(device=images.device).manual_seed(0)
    z0, z1 = (F.normalize(backbone(views.apply(images, generator)).float(), dim=1) for _ in range(2))
    diagnosis = Diagnosis(
        alignment=alignment(z0, z1),
        uniformity=uniformity(z0),
        rank=effective_rank(backbone(images).float()),
        knn=leave_one_out(F.normalize(backbone(labelled).float(), dim=1), labels),
    )
    backbone.train(training)
    return diagnosis


def alignment(z0: Tensor, z1: Tensor) -> float:
    """Wang & Isola 2020 (arXiv:2005.10242), alpha = 2, of (n, dim) unit vectors: in [0, 4]."""
    return float((z0 - z1).square().sum(dim=1).mean())


def uniformity(z: Tensor) -> float:
    """Wang & Isola 2020 (arXiv:2005.10242), t = 2, of (n, dim) unit vectors, n at least 2: at most 0."""
    squared = F.pdist(z).square()
    return float(squared.mul(-2).exp().mean().log())


def effective_rank(features: Tensor) -> float:
    """RankMe (Garrido et al. 2023, arXiv:2210.02885) of (n, dim) features: in [1, dim]."""
    values = torch.linalg.svdvals(features)
    shares = values / values.sum().clamp_min(1e-12) + 1e-7
    return float((-(shares * shares.log()).sum()).exp())


def leave_one_out(z: Tensor, labels: Tensor) -> float:
    """Share of (n, dim) unit vectors whose nearest other one has their label."""
    nearest = (z @ z.T).fill_diagonal_(float("-inf")).argmax(dim=1)
    return float((labels[nearest] == labels).float().mean())
