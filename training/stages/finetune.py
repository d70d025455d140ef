"""Few-label stage: the pretrained backbone and a new classifier head learn from the labelled images alone."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from training.data.dataset import Dataset
from training.loop import History, Run, Stage
from training.networks import Backbone, Classifier
from training.views.digits import ViewSettings, random_views


@dataclass(frozen=True)
class FinetuneSettings:
    """How the classifier learns from the labelled images."""

    steps: int = 400
    """Optimisation steps."""
    batch_size: int = 256
    """Views a step, of images drawn with replacement."""
    learning_rate: float = 1e-3
    """AdamW's peak learning rate, backbone and head alike."""
    weight_decay: float = 1e-2
    """AdamW's decoupled weight decay."""
    label_smoothing: float = 0.1
    """Probability mass spread over all classes."""
    views: ViewSettings = ViewSettings()
    """The random transforms."""


def finetune(backbone: Backbone, labelled: Dataset, settings: FinetuneSettings, run: Run) -> tuple[Classifier, History]:
    """Trains `backbone` in place under a new head, on images that all have labels.

    Raises:
        ValueError: no image.
    """
    if len(labelled) == 0:
        raise ValueError("fine-tuning needs at least one labelled image")
    classifier = Classifier(backbone, nn.Linear(backbone.dim, len(labelled.class_names))).to(run.device)

    def loss(batch: Tensor) -> Tensor:
        views = random_views(labelled.images[batch], settings.views, run.generator)
        logits = run.forward(classifier, views)
        return F.cross_entropy(logits, labelled.labels[batch], label_smoothing=settings.label_smoothing)

    return classifier, Stage(run, "finetune", classifier, settings).draws(settings.steps, len(labelled), loss)
