"""Self-supervised stage: SimCLR (Chen et al. 2020, arXiv:2002.05709). Sees no label."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from training.diagnostics import Diagnosis
from training.loop import History, Run, Stage, StageSettings
from training.networks import AnyBackbone, ProjectionHead
from training.views import Views
from training.views.digits import ViewSettings

Objective = Callable[[Tensor, Tensor], Tensor]
"""Contrastive loss of two (n, dim) float32 projections, row i of both from image i: () float32."""


class Pretraining(StageSettings, Protocol):
    """What this stage reads of its settings."""

    @property
    def views(self) -> Views: ...

    def epochs_of(self, images: int) -> int: ...


@dataclass(frozen=True)
class PretrainSettings:
    """How the backbone learns from images alone."""

    epochs: int = 3
    """Passes over the images."""
    batch_size: int = 256
    """Images a step; each gives two views."""
    temperature: float = 0.5
    """NT-Xent's temperature."""
    learning_rate: float = 3e-3
    """AdamW's peak learning rate."""
    weight_decay: float = 1e-4
    """AdamW's decoupled weight decay."""
    views: ViewSettings = ViewSettings(rotation_degrees=15.0, scale=0.2, shear=0.25, translate_pixels=2.0)
    """The random transforms: wider than where labels are taught, since here no label can break."""

    def epochs_of(self, _images: int) -> int:
        """Passes over so many images."""
        return self.epochs


def pretrain(
    backbone: AnyBackbone,
    images: Tensor,
    settings: Pretraining,
    run: Run,
    objective: Objective,
    diagnose: Callable[[], Diagnosis] | None = None,
) -> History:
    """Trains `backbone` in place; the projection head exists only in here.

    Args:
        images: (n, channels, height, width) uint8, n at least `batch_size`.
        diagnose: called after each epoch.
    """
    model = nn.Sequential(backbone, ProjectionHead(backbone.dim).to(run.device))

    def loss(batch: Tensor) -> Tensor:
        views = settings.views.apply(images[batch].repeat(2, 1, 1, 1), run.generator)
        return objective(*run.forward(model, views).chunk(2))

    return Stage(run, "pretrain", model, settings, diagnose=diagnose).epochs(
        settings.epochs_of(len(images)), len(images), loss
    )
