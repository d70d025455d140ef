"""The unlabelled images used a second time: pseudo-labels from a slowly moving teacher.

FixMatch (Sohn et al. 2020, arXiv:2001.07685) with an exponential-moving-average teacher (Tarvainen & Valpola
2017, arXiv:1703.01780) and distribution alignment (Berthelot et al. 2020, arXiv:1911.09785): where the teacher and the
propagated labels together are sure of an image, the student must say the same of a random view of it. The first epochs
follow the propagated labels alone: a classifier of few labels can be wrong and sure about a whole way of writing a
digit, and would teach itself its mistake.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.checkpoint import Checkpoint, RandomState
from training.data.dataset import Dataset
from training.loop import History, Optimisation, autocast, shuffled_batches, steps_an_epoch
from training.monitor import Monitor
from training.networks import Classifier
from training.pseudo_labels import DistributionAlignment, combine
from training.views.digits import ViewSettings, random_views


@dataclass(frozen=True)
class SelftrainSettings:
    """How the classifier learns from its own confident predictions."""

    epochs: int = 8
    """Passes over all images."""
    neighbours_epochs: int = 2
    """The first of these epochs, in which the propagated labels alone are learnt, of all images."""
    batch_size: int = 448
    """Images a step, besides the labelled ones."""
    labelled_batch_size: int = 64
    """Labelled images a step, drawn with replacement."""
    threshold: float = 0.95
    """Probability above which an answer counts as a label."""
    neighbours_weight: float = 1.0
    """How much the propagated labels count beside the teacher's answer afterwards; 0 asks the teacher alone."""
    teacher_decay: float = 0.99
    """How much of the teacher stays at each step."""
    learning_rate: float = 2e-3
    """AdamW's peak learning rate."""
    weight_decay: float = 1e-3
    """AdamW's decoupled weight decay."""
    views: ViewSettings = ViewSettings()
    """The random transforms of what the student sees; the teacher sees the images as they are."""


def selftrain(
    classifier: Classifier,
    data: Dataset,
    neighbours: Tensor,
    settings: SelftrainSettings,
    generator: torch.Generator,
    checkpoint: Checkpoint = Checkpoint(),
    monitor: Monitor = Monitor(),
) -> tuple[Classifier, History]:
    """Trains `classifier` in place; returns the teacher that followed it.

    Args:
        data: at least `batch_size` images, some of them labelled.
        neighbours: (len(data), classes) float32, the propagated labels; rows sum to 1.
    """
    images, labels = data.labelled().images, data.labelled().labels
    teacher = AveragedModel(
        classifier,
        multi_avg_fn=get_ema_multi_avg_fn(settings.teacher_decay),  # type: ignore[no-untyped-call]
        use_buffers=True,
    ).eval()
    align = DistributionAlignment(neighbours.mean(dim=0))
    steps = steps_an_epoch(len(data), settings.batch_size)
    optimisation = Optimisation(
        classifier.train(),
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        steps=settings.epochs * steps,
    )
    stage = checkpoint.stage(
        "selftrain",
        {
            "classifier": classifier,
            "teacher": teacher,
            "alignment": align,
            "optimisation": optimisation,
            "random": RandomState(generator),
        },
    )
    done = stage.resume()
    total = settings.epochs * steps
    with monitor.stage("selftrain", steps=total, batch_size=settings.batch_size, done=done * steps) as progress:
        for epoch in range(done, settings.epochs):
            for batch in shuffled_batches(len(data), settings.batch_size, generator):
                drawn = torch.randint(
                    len(images), (settings.labelled_batch_size,), generator=generator, device=images.device
                )
                with torch.no_grad(), autocast(images.device):
                    answers = teacher(data.images[batch])
                answers = align(answers.float().softmax(dim=1))
                if epoch < settings.neighbours_epochs:
                    pseudo, sure = neighbours[batch].argmax(dim=1), torch.ones_like(batch, dtype=torch.bool)
                else:
                    confidence, pseudo = combine(answers, neighbours[batch], settings.neighbours_weight).max(dim=1)
                    sure = confidence >= settings.threshold
                views = random_views(torch.cat([images[drawn], data.images[batch]]), settings.views, generator)
                with autocast(images.device):
                    logits = classifier(views)
                given, guessed = logits.float()[: len(drawn)], logits.float()[len(drawn) :]
                unsupervised = (F.cross_entropy(guessed, pseudo, reduction="none") * sure).mean()
                loss = F.cross_entropy(given, labels[drawn]) + unsupervised
                progress.update(optimisation.step(loss))
                teacher.update_parameters(classifier)
            stage.save(epoch + 1)
    student = teacher.module
    assert isinstance(student, Classifier)
    return student.eval(), optimisation.history
