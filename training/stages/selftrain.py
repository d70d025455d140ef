"""Self-training: the classifier learns pseudo-labels of the unlabelled images from its own moving average.

FixMatch (Sohn et al. 2020, arXiv:2001.07685) with an exponential-moving-average teacher (Tarvainen & Valpola
2017, arXiv:1703.01780) and distribution alignment (Berthelot et al. 2020, arXiv:1911.09785): where the product of the
teacher's and the propagated probabilities exceeds a threshold, its class is the target of a random view of the image.
The first epochs use the propagated labels alone: a classifier of few labels can be confidently wrong about a whole
style of a class, and self-training would amplify that error.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.checkpoint import Stateful
from training.data.dataset import Dataset
from training.loop import History, Run, Stage
from training.networks import Classifier
from training.pseudo_labels import DistributionAlignment, combine
from training.views.digits import ViewSettings, random_views


@dataclass(frozen=True)
class SelftrainSettings:
    """How the classifier learns from its own confident predictions."""

    epochs: int = 8
    """Passes over all images."""
    neighbours_epochs: int = 2
    """Epochs at the start whose targets are the propagated labels alone, of all images."""
    batch_size: int = 448
    """Images a step, besides the labelled ones."""
    labelled_batch_size: int = 64
    """Labelled images a step, drawn with replacement."""
    threshold: float = 0.95
    """Probability from which on a predicted class counts as a pseudo-label."""
    neighbours_weight: float = 1.0
    """Exponent of the propagated probabilities in the product with the teacher's; 0 leaves the teacher alone."""
    teacher_decay: float = 0.99
    """Decay of the moving average, a step."""
    learning_rate: float = 2e-3
    """AdamW's peak learning rate."""
    weight_decay: float = 1e-3
    """AdamW's decoupled weight decay."""
    views: ViewSettings = ViewSettings()
    """The random transforms of what the student sees; the teacher sees untransformed images."""


def selftrain(
    classifier: Classifier, data: Dataset, neighbours: Tensor, settings: SelftrainSettings, run: Run
) -> tuple[Classifier, History]:
    """Trains `classifier` in place; returns the teacher, its moving average.

    Args:
        data: at least `batch_size` images, some of them labelled.
        neighbours: (len(data), classes) float32, the propagated labels; rows sum to 1.
    """
    labelled = data.labelled()
    average = get_ema_multi_avg_fn(settings.teacher_decay)  # type: ignore[no-untyped-call]
    teacher = AveragedModel(classifier, multi_avg_fn=average, use_buffers=True).eval()
    align = DistributionAlignment(neighbours.mean(dim=0))
    parts: dict[str, Stateful] = {"teacher": teacher, "alignment": align}
    stage = Stage(run, "selftrain", classifier, settings, parts, lambda: teacher.update_parameters(classifier))

    def pseudo_labels(batch: Tensor) -> tuple[Tensor, Tensor]:
        """Classes (n,) int64 of a batch's images, and which of them count, (n,) bool."""
        with torch.no_grad():
            probabilities = align(run.forward(teacher, data.images[batch]).softmax(dim=1))
        if stage.done < settings.neighbours_epochs:
            return neighbours[batch].argmax(dim=1), torch.ones_like(batch, dtype=torch.bool)
        confidence, classes = combine(probabilities, neighbours[batch], settings.neighbours_weight).max(dim=1)
        return classes, confidence >= settings.threshold

    def loss(batch: Tensor) -> Tensor:
        drawn = run.draw(settings.labelled_batch_size, len(labelled))
        classes, counts = pseudo_labels(batch)
        views = random_views(torch.cat([labelled.images[drawn], data.images[batch]]), settings.views, run.generator)
        logits = run.forward(classifier, views)
        supervised = F.cross_entropy(logits[: len(drawn)], labelled.labels[drawn])
        unsupervised = (F.cross_entropy(logits[len(drawn) :], classes, reduction="none") * counts).mean()
        return supervised + unsupervised

    history = stage.epochs(settings.epochs, len(data), loss)
    averaged = teacher.module
    assert isinstance(averaged, Classifier)
    return averaged, history
