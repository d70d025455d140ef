"""The contrastive loss. Knows nothing about networks, views or optimisers."""

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent_loss(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross entropy of two views of the same images.

    SimCLR (Chen et al. 2020, arXiv:2002.05709), equation 1: each of the 2n projections must pick its
    partner out of the 2n - 1 others, by cosine similarity over `temperature`; mean over all 2n.

    Args:
        z0, z1: (n, dim) float projections; row i of both comes from image i. Need not be normalised.
        temperature: positive; smaller means that hard negatives weigh more.

    Returns:
        () float32, non-negative.
    """
    if z0.shape != z1.shape or z0.ndim != 2:
        raise ValueError(f"z0 and z1 must both be (n, dim), got {tuple(z0.shape)} and {tuple(z1.shape)}")
    n = len(z0)
    z = F.normalize(torch.cat([z0, z1]).float(), dim=1)  # (2n, dim)
    similarity = z @ z.T / temperature  # (2n, 2n)
    similarity = similarity.fill_diagonal_(float("-inf"))  # no projection is its own negative
    partner = torch.arange(2 * n, device=z.device).roll(n)
    return F.cross_entropy(similarity, partner)
