"""Labels spread to unlabelled images along the graph of their nearest neighbours in feature space.

Label propagation (Zhou et al. 2003, "Learning with local and global consistency") on the features of the pretrained
backbone, then Sinkhorn's scaling so that the classes are as frequent as they are believed to be. Learns nothing: the
few labels reach along chains of similar images much farther than a classifier fitted to them alone generalises.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from training.data.dataset import Dataset
from training.networks import Backbone
from training.pseudo_labels import scale_to

BATCH_SIZE = 500
"""Images at a time: the similarities of so many with 60,000 take 120 MB."""


@dataclass(frozen=True)
class PropagateSettings:
    """How labels spread."""

    dimensions: int = 64
    """Principal components of the backbone's last feature maps that similarity is measured in."""
    neighbours: int = 15
    """Nearest images that each one is linked with."""
    reach: float = 0.99
    """Zhou's alpha in [0, 1): how much an image listens to its neighbours rather than to its own label."""
    rounds: int = 200
    """How often every image asks its neighbours."""
    balance: float = 20.0
    """How many labels a class the belief in balanced classes is worth."""


def class_frequencies(labels: Tensor, classes: int, balance: float) -> Tensor:
    """What is believed of the classes' frequencies after seeing `labels`: (classes,) float32, sums to 1.

    Mean of the posterior under a Dirichlet prior worth `balance` labels a class: a few labels say little (of 200 drawn
    from ten about equally frequent classes, one class here has 13 and another 26).
    """
    counts = torch.bincount(labels, minlength=classes).float() + balance
    return counts / counts.sum()


def propagate(backbone: Backbone, data: Dataset, settings: PropagateSettings) -> Tensor:
    """What the labels say of every image: (n, classes) float32 on the images' device, rows sum to 1.

    The rows of labelled images are their labels. Raises ValueError when there are too few images to be neighbours.
    """
    if len(data) <= settings.neighbours:
        raise ValueError(f"--propagate.neighbours {settings.neighbours}: there are only {len(data)} images")
    links = normalised_links(*nearest(embed(backbone, data.images, settings.dimensions), settings.neighbours))
    known = data.is_labelled
    given = torch.zeros(len(data), len(data.class_names))
    given[known.cpu(), data.labels[known].cpu()] = 1
    spread = start = given.numpy()
    for _ in range(settings.rounds):
        spread = settings.reach * (links @ spread) + (1 - settings.reach) * start
    frequencies = class_frequencies(data.labels[known], len(data.class_names), settings.balance)
    balanced = torch.from_numpy(scale_to(spread, frequencies.cpu().numpy()))
    return torch.where(known.cpu()[:, None], given, balanced).to(data.images.device)


@torch.no_grad()
def embed(backbone: Backbone, images: Tensor, dimensions: int) -> Tensor:
    """Unit vectors (n, dimensions or fewer) float32: principal components of the last feature maps.

    Each component is divided by the square root of its standard deviation, half way to whitening: the leading ones
    would drown the others, and noise would drown all of them if they were whitened entirely.
    """
    backbone.eval()
    maps = torch.cat([backbone.maps(batch) for batch in torch.split(images, BATCH_SIZE)]).float()
    centred = maps - maps.mean(dim=0)
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(centred))  # ascending
    kept = variances[-dimensions:].clamp_min(1e-8)
    return F.normalize(centred @ directions[:, -dimensions:] / kept**0.25, dim=1)


def nearest(z: Tensor, neighbours: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cosines and indices of each unit vector's nearest others, best first: both (n, neighbours)."""
    cosines, indices = [], []
    for start in range(0, len(z), BATCH_SIZE):
        similar = z[start : start + BATCH_SIZE] @ z.T
        rows = torch.arange(len(similar), device=z.device)
        similar[rows, start + rows] = float("-inf")  # itself
        best = similar.topk(neighbours, dim=1)
        cosines.append(best.values.cpu())
        indices.append(best.indices.cpu())
    return torch.cat(cosines).numpy(), torch.cat(indices).numpy()


def normalised_links(cosines: NDArray[np.float32], indices: NDArray[np.int64]) -> scipy.sparse.csr_array:
    """Symmetric (n, n) links D^-½ W D^-½ of float32, where W has the third power of each cosine (Iscen et al. 2019)."""
    n, neighbours = cosines.shape
    rows = np.repeat(np.arange(n), neighbours)
    weights = cosines.clip(0).ravel() ** 3
    directed = scipy.sparse.csr_array((weights, (rows, indices.ravel())), shape=(n, n))
    links = directed + directed.T
    scale = scipy.sparse.diags_array(1 / np.sqrt(links.sum(axis=1).clip(1e-12)))
    return scipy.sparse.csr_array((scale @ links @ scale).astype(np.float32))
