"""Few-label stage: the pretrained backbone and a new classifier head learn from the labelled images alone."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.checkpoint import Checkpoint, RandomState, Stateful
from training.loop import History, Optimisation, autocast
from training.monitor import Monitor
from training.networks import Backbone, Classifier, ClassifierHead
from training.views.digits import ViewSettings, random_views

SAVE_EVERY = 100
"""Steps between checkpoints: some seconds."""


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


def finetune(
    backbone: Backbone,
    images: Tensor,
    labels: Tensor,
    classes: int,
    settings: FinetuneSettings,
    generator: torch.Generator,
    checkpoint: Checkpoint = Checkpoint(),
    monitor: Monitor = Monitor(),
) -> tuple[Classifier, History]:
    """Trains `backbone` in place under a new head.

    Args:
        images: (n, 1, 28, 28) uint8, every one labelled.
        labels: (n,) int64 in [0, classes).
    """
    if len(images) == 0:
        raise ValueError("fine-tuning needs at least one labelled image")
    classifier = Classifier(backbone, ClassifierHead(backbone.features, classes)).to(images.device).train()
    optimisation = Optimisation(
        classifier,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        steps=settings.steps,
    )
    parts: dict[str, Stateful] = {
        "classifier": classifier,
        "optimisation": optimisation,
        "random": RandomState(generator),
    }
    stage = checkpoint.stage("finetune", parts)
    done = stage.resume()
    with monitor.stage("finetune", steps=settings.steps, batch_size=settings.batch_size, done=done) as progress:
        for step in range(done, settings.steps):
            batch = torch.randint(len(images), (settings.batch_size,), generator=generator, device=images.device)
            views = random_views(images[batch], settings.views, generator)
            with autocast(images.device):
                logits = classifier(views)
            loss = F.cross_entropy(logits.float(), labels[batch], label_smoothing=settings.label_smoothing)
            progress.update(optimisation.step(loss))
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == settings.steps:
                stage.save(step + 1)
    return classifier.eval(), optimisation.history
