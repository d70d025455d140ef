"""Fine-tuning: the pretrained backbone and a new classifier head learn what the labels say of every image.

First the propagated labels; then, as soft targets, the product of those and of what the network's own moving average
answers (mean teacher, Tarvainen & Valpola 2017, arXiv:1703.01780; distribution alignment, Berthelot et al. 2020,
arXiv:1911.09785), since the two err on different images. A network that listens to itself alone repeats its errors, and
can be confidently wrong about a whole style of a class; so the propagated labels come first, and count more.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.checkpoint import Stateful
from training.loop import History, Run, Stage
from training.networks import Classifier
from training.pseudo_labels import DistributionAlignment, combine
from training.views.digits import GENTLE, ViewSettings


@dataclass(frozen=True)
class FinetuneSettings:
    """How the classifier learns."""

    epochs: int = 14
    """Passes over all images."""
    propagated_epochs: int = 2
    """Epochs at the start whose targets are the propagated labels alone."""
    propagated_weight: float = 3.0
    """Exponent of the propagated probabilities, the largest in a whole training; those of the moving average have 1."""
    batch_size: int = 256
    """Images a step."""
    decay: float = 0.99
    """Decay of the moving average, a step."""
    learning_rate: float = 6e-3
    """AdamW's peak learning rate, backbone and head alike."""
    weight_decay: float = 1e-3
    """AdamW's decoupled weight decay."""
    views: ViewSettings = ViewSettings(thin=0.9, coarse=0.1)
    """The random transforms of what the network sees."""
    gentle_views: ViewSettings = GENTLE
    """Those of what its average sees, besides the images themselves."""


def propagated_weight(labels_per_class: float, largest: float) -> float:
    """Exponent of probabilities that so many labels were propagated to.

    1 for one label a class and a half more for each doubling: few labels are often propagated to whole groups of
    another class, which the network must be free to correct (training/experiments/LOG.md).
    """
    return min(largest, 1 + math.log2(max(1.0, labels_per_class)) / 2)


def finetune(
    classifier: Classifier, images: Tensor, propagated: Tensor, settings: FinetuneSettings, run: Run
) -> tuple[Classifier, History]:
    """Trains `classifier` in place; returns its moving average.

    Args:
        images: (n, channels, height, width) uint8, n at least `batch_size`.
        propagated: (n, classes) float32, what the labels say of every image; rows sum to 1.
    """
    average = get_ema_multi_avg_fn(settings.decay)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(classifier, multi_avg_fn=average, use_buffers=True).eval()
    uniform = torch.full_like(propagated[:1], 1 / propagated.shape[1])
    align = DistributionAlignment(propagated.mean(dim=0))
    parts: dict[str, Stateful] = {"averaged": averaged, "alignment": align}
    stage = Stage(run, "finetune", classifier, settings, parts, lambda: averaged.update_parameters(classifier))

    @torch.no_grad()
    def targets(batch: Tensor) -> Tensor:
        if stage.done < settings.propagated_epochs:
            return combine(uniform, propagated[batch], settings.propagated_weight)
        seen = torch.cat([images[batch], settings.gentle_views.apply(images[batch], run.generator)])
        answer, other = run.forward(averaged, seen).softmax(dim=1).chunk(2)
        return combine(align((answer + other) / 2), propagated[batch], settings.propagated_weight)

    def loss(batch: Tensor) -> Tensor:
        views = settings.views.apply(images[batch], run.generator)
        return F.cross_entropy(run.forward(classifier, views), targets(batch))

    history = stage.epochs(settings.epochs, len(images), loss)
    result = averaged.module
    assert isinstance(result, Classifier)
    return result, history
