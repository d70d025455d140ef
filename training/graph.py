"""The graph of nearest neighbours among feature vectors, and what spreads along it. Knows no images and no networks.

Zhou et al. 2003 ("Learning with local and global consistency").
"""

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

ROWS = 128
"""Rows of similarities at a time: with 60,000 images they take 31 MB, which caches hold in part."""
GROUP = 16
"""Vectors of which only the nearest is looked at first."""


def nearest(z: Tensor, neighbours: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cosines and indices of each unit vector's nearest others, best first: both (n, neighbours).

    Exact, but in two steps, since selecting among all n costs more than their similarities: the nearest vectors are in
    the `neighbours` groups of `GROUP` vectors whose best similarities are highest.
    """
    n, padding = len(z), -len(z) % GROUP
    every = F.pad(z, (0, 0, 0, padding))
    cosines, indices = torch.empty(n, neighbours), torch.empty(n, neighbours, dtype=torch.int64)
    within = torch.arange(GROUP, device=z.device)
    for start in range(0, n, ROWS):
        similar = z[start : start + ROWS] @ every.T
        rows = torch.arange(len(similar), device=z.device)
        similar[rows, start + rows] = float("-inf")  # no image is its own neighbour
        similar[:, n:] = float("-inf")
        grouped = similar.view(len(similar), -1, GROUP)
        groups = grouped.amax(dim=2).topk(min(neighbours, grouped.shape[1]), dim=1).indices
        candidates = (groups[:, :, None] * GROUP + within).flatten(1)
        best, chosen = similar.gather(1, candidates).topk(neighbours, dim=1)
        cosines[start : start + ROWS] = best
        indices[start : start + ROWS] = candidates.gather(1, chosen)
    return cosines.numpy(), indices.numpy()


def normalised_links(cosines: NDArray[np.float32], indices: NDArray[np.int64]) -> scipy.sparse.csr_array:
    """Symmetric (n, n) links D^-½ W D^-½ of float32, where W has the third power of each cosine (Iscen et al. 2019)."""
    n, neighbours = cosines.shape
    rows = np.repeat(np.arange(n), neighbours)
    weights = cosines.clip(0).ravel() ** 3
    directed = scipy.sparse.csr_array((weights, (rows, indices.ravel())), shape=(n, n))
    links = directed + directed.T
    scale = scipy.sparse.diags_array(1 / np.sqrt(links.sum(axis=1).clip(1e-12)))
    return scipy.sparse.csr_array((scale @ links @ scale).astype(np.float32))


def spread(links: scipy.sparse.csr_array, given: NDArray[np.float32], reach: float, rounds: int) -> NDArray[np.float32]:
    """Scores (n, classes) float32 that each image got from `given`, the same with zeros where nothing is known.

    Args:
        reach: Zhou's alpha in [0, 1), weight of the neighbours' scores against the image's own.
        rounds: iterations.
    """
    scores = given
    for _ in range(rounds):
        scores = reach * (links @ scores) + (1 - reach) * given
    return scores
