"""Self-supervised stage: SimCLR (Chen et al. 2020, arXiv:2002.05709). Sees no label."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.checkpoint import Checkpoint, RandomState, Stateful
from training.diagnostics import Diagnosis
from training.loop import History, Optimisation, autocast, shuffled_batches, steps_an_epoch
from training.losses import nt_xent_loss
from training.monitor import Monitor
from training.networks import Backbone, ProjectionHead
from training.views.digits import ViewSettings, random_views


@dataclass(frozen=True)
class PretrainSettings:
    """How the backbone learns from images alone."""

    epochs: int = 8
    """Passes over the images."""
    batch_size: int = 512
    """Images a step; each gives two views."""
    temperature: float = 0.5
    """NT-Xent's temperature."""
    learning_rate: float = 3e-3
    """AdamW's peak learning rate."""
    weight_decay: float = 1e-4
    """AdamW's decoupled weight decay."""
    views: ViewSettings = ViewSettings(rotation_degrees=15.0, scale=0.2, shear=0.25, translate_pixels=2.0)
    """The random transforms: wider than where labels are taught, since here no label can break."""


def pretrain(
    backbone: Backbone,
    images: Tensor,
    settings: PretrainSettings,
    generator: torch.Generator,
    checkpoint: Checkpoint = Checkpoint(),
    monitor: Monitor = Monitor(),
    look: Callable[[], Diagnosis] | None = None,
) -> History:
    """Trains `backbone` in place; the projection head exists only in here.

    Args:
        images: (n, 1, 28, 28) uint8 on the backbone's device, n at least `batch_size`.
        look: asked after every epoch how the backbone is doing.
    """
    projection = ProjectionHead(backbone.features).to(images.device)
    model = nn.Sequential(backbone, projection).train()
    steps = steps_an_epoch(len(images), settings.batch_size)
    optimisation = Optimisation(
        model,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        steps=settings.epochs * steps,
    )
    parts: dict[str, Stateful] = {"model": model, "optimisation": optimisation, "random": RandomState(generator)}
    stage = checkpoint.stage("pretrain", parts)
    done = stage.resume()
    total = settings.epochs * steps
    with monitor.stage("pretrain", steps=total, batch_size=settings.batch_size, done=done * steps) as progress:
        for epoch in range(done, settings.epochs):
            for batch in shuffled_batches(len(images), settings.batch_size, generator):
                views = random_views(images[batch].repeat(2, 1, 1, 1), settings.views, generator)
                loss = contrastive_loss(model, views, settings.temperature)
                progress.update(optimisation.step(loss))
            stage.save(epoch + 1)
            if look:
                progress.tell(f"epoch {epoch + 1}", look())
    return optimisation.history


def contrastive_loss(model: nn.Module, views: Tensor, temperature: float) -> Tensor:
    """NT-Xent of (2n, 1, 28, 28) uint8 views, of which i and n + i come from the same image: () float32."""
    with autocast(views.device):
        projections = model(views)
    z0, z1 = projections.float().chunk(2)
    return nt_xent_loss(z0, z1, temperature)
