"""The stages in a row: images, few of them labelled → classifier. Knows nothing about files or scores."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from training.checkpoint import Checkpoint
from training.data.dataset import Dataset
from training.diagnostics import diagnose
from training.loop import History, Run, seeded_generator
from training.losses import nt_xent_loss
from training.monitor import Monitor
from training.networks import Backbone, Classifier, new_classifier
from training.settings import TrainingSettings
from training.stages.distill import distill, distillation_targets
from training.stages.finetune import finetune
from training.stages.pretrain import pretrain
from training.stages.propagate import propagate
from training.stages.selftrain import selftrain

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
    new_student: Callable[[int], Classifier] | None = None,
) -> tuple[Classifier, dict[str, History]]:
    """Trains a teacher on images and few labels, and a smaller network on its predictions; resumes at `checkpoint`.

    `new_student` makes another network than `settings.student_widths` describe, for so many classes. Returns the
    smaller network, and the history of each stage.
    """
    run = Run(seeded_generator(settings.seed, data.images.device), checkpoint, monitor or Monitor())
    labelled, shape, views = data.labelled(), data.image_shape, settings.pretrain.views
    backbone = run.place(Backbone(shape, settings.teacher_widths))
    objective = partial(nt_xent_loss, temperature=settings.pretrain.temperature)
    diagnosis = partial(diagnose, backbone, data.images[:DIAGNOSED], labelled.images, labelled.labels, views)
    history = {"pretrain": pretrain(backbone, data.images, settings.pretrain, run, objective, diagnosis)}
    observe("pretrain", backbone)
    neighbours = propagate(backbone, data, settings.propagate)
    observe("propagate", neighbours)
    teacher, history["finetune"] = finetune(backbone, labelled, settings.finetune, run)
    observe("finetune", teacher)
    teacher, history["selftrain"] = selftrain(teacher, data, neighbours, settings.selftrain, run)
    observe("selftrain", teacher)
    targets = distillation_targets(teacher, data, neighbours, settings.distill, run)
    observe("targets", targets)
    new_student = new_student or partial(new_classifier, shape, settings.student_widths)
    student = run.place(new_student(len(data.class_names)))
    history["distill"] = distill(student, data.images, targets, settings.distill, run)
    observe("distill", student)
    return student, history
