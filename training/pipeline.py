"""The stages in a row: images, few of them labelled → classifier. Knows nothing about files or scores."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from training.checkpoint import Checkpoint
from training.data.dataset import Dataset
from training.diagnostics import diagnose
from training.loop import History, Run, seeded_generator
from training.losses import nt_xent_loss
from training.monitor import Monitor
from training.networks import Backbone, Classifier
from training.settings import TrainingSettings
from training.stages.finetune import finetune, propagated_weight
from training.stages.pretrain import pretrain
from training.stages.propagate import propagate

Observer = Callable[[str, nn.Module | Tensor], None]
"""Called with each stage's name and its result: a network, or the probabilities (n, classes) of all images.

Must draw no random numbers and change no weights.
"""

DIAGNOSED = 1000
"""Images that the diagnosis after each epoch of pretraining uses, besides the labelled ones."""


def train(
    data: Dataset,
    settings: TrainingSettings,
    checkpoint: Checkpoint | None = None,
    monitor: Monitor | None = None,
    observe: Observer = lambda _stage, _result: None,
    substitute: Callable[[int], Classifier] | None = None,
) -> tuple[Classifier, dict[str, History]]:
    """Trains a classifier on images and few labels; resumes at `checkpoint`.

    `substitute` makes another network for so many classes, which is fine-tuned from its random weights in place of the
    pretrained one. Returns the network, and the history of each stage that trains.
    """
    run = Run(seeded_generator(settings.seed, data.images.device), checkpoint, monitor or Monitor())
    labelled, classes, views = data.labelled(), len(data.class_names), settings.pretrain.views
    backbone = run.place(Backbone(data.image_shape, settings.widths))
    objective = partial(nt_xent_loss, temperature=settings.pretrain.temperature)
    diagnosis = partial(diagnose, backbone, data.images[:DIAGNOSED], labelled.images, labelled.labels, views)
    history = {"pretrain": pretrain(backbone, data.images, settings.pretrain, run, objective, diagnosis)}
    observe("pretrain", backbone)
    propagated = propagate(backbone, data, settings.propagate, run.generator)
    observe("propagate", propagated)
    classifier = substitute(classes) if substitute else Classifier(backbone, nn.Linear(backbone.dim, classes))
    weight = propagated_weight(len(labelled) / classes, settings.finetune.propagated_weight)
    tuning = replace(settings.finetune, propagated_weight=weight)
    classifier, history["finetune"] = finetune(run.place(classifier), data.images, propagated, tuning, run)
    observe("finetune", classifier)
    return classifier, history
