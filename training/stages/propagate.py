"""Label propagation: labels spread to unlabelled images along the graph of nearest neighbours in feature space.

Zhou et al. 2003 ("Learning with local and global consistency") on the features of the pretrained backbone, then
Sinkhorn's scaling to the estimated class frequencies. Nothing is trained: along chains of similar images the few labels
reach farther than a classifier that is fitted to them alone generalises.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.dataset import Dataset
from training.graph import nearest, normalised_links, spread
from training.networks import Backbone
from training.pseudo_labels import scale_to
from training.views.digits import GENTLE, ViewSettings

BATCH_SIZE = 500
"""Images at a time whose features are computed."""


@dataclass(frozen=True)
class PropagateSettings:
    """How labels are propagated."""

    dimensions: int = 128
    """Principal components of the backbone's last maps and features in which similarity is measured."""
    views: int = 4
    """Random views of each image whose maps and features are averaged with its own."""
    gentle_views: ViewSettings = GENTLE
    """Their random transforms."""
    neighbours: int = 15
    """Nearest neighbours that each image is linked to."""
    reach: float = 0.99
    """Zhou's alpha in [0, 1): weight of the neighbours' labels against the image's own."""
    rounds: int = 200
    """Propagation iterations."""
    balance: float = 20.0
    """Dirichlet prior, in pseudo-labels per class."""


def class_frequencies(labels: Tensor, classes: int, balance: float) -> Tensor:
    """Estimated class frequencies: (classes,) float32, sums to 1.

    Mean of the posterior under a Dirichlet prior of `balance` pseudo-labels per class. A few labels are a poor
    estimate: of MNIST's first 200, one class has 13 and another 26.
    """
    counts = torch.bincount(labels, minlength=classes).float() + balance
    return counts / counts.sum()


def propagate(backbone: Backbone, data: Dataset, settings: PropagateSettings, generator: torch.Generator) -> Tensor:
    """What the labels say of every image: (n, classes) float32 on the images' device, rows sum to 1.

    The rows of labelled images are their labels. Raises ValueError when there are too few images to be neighbours.
    """
    if len(data) <= settings.neighbours:
        raise ValueError(f"--propagate.neighbours {settings.neighbours}: there are only {len(data)} images")
    z = embed(backbone, data.images, settings, generator)
    links = normalised_links(*nearest(z, settings.neighbours))
    labelled = data.is_labelled
    given = torch.zeros(len(data), len(data.class_names))
    given[labelled.cpu(), data.labels[labelled].cpu()] = 1
    propagated = spread(links, given.numpy(), settings.reach, settings.rounds)
    frequencies = class_frequencies(data.labels[labelled], len(data.class_names), settings.balance)
    balanced = torch.from_numpy(scale_to(propagated, frequencies.cpu().numpy()))
    return torch.where(labelled.cpu()[:, None], given, balanced).to(data.images.device)


@torch.no_grad()
def embed(backbone: Backbone, images: Tensor, settings: PropagateSettings, generator: torch.Generator) -> Tensor:
    """Unit vectors (n, `dimensions` or fewer) float32: principal components of maps and features, averaged over views.

    Each component is divided by the square root of its standard deviation, half way to whitening: without it the
    leading components dominate the cosine, with full whitening the noise in the last ones does.
    """
    backbone.eval()
    outputs = []
    for batch in torch.split(images, BATCH_SIZE):
        views = settings.gentle_views.apply(batch.repeat(settings.views, 1, 1, 1), generator)
        maps = backbone.maps(torch.cat([batch, views]))
        mean = [part.float().unflatten(0, (-1, len(batch))).mean(dim=0) for part in (maps, backbone.features(maps))]
        outputs.append(mean)
    joint = torch.cat([part / part.std() for part in map(torch.cat, zip(*outputs, strict=True))], dim=1)
    centred = joint - joint.mean(dim=0)
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(centred))  # ascending
    kept = variances[-settings.dimensions :].clamp_min(1e-8)
    return F.normalize(centred @ directions[:, -settings.dimensions :] / kept**0.25, dim=1)
