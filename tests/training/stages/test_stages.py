"""Each stage learns on a small real problem, twice the same."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.networks import NT_XENT, cpu_run, small_backbone, small_classifier
from training.data.dataset import Dataset, forget_labels
from training.loop import Optimisation
from training.networks import Backbone, Classifier, NoveltyHead, ServedModel, count_parameters
from training.pipeline import train
from training.pseudo_labels import DistributionAlignment
from training.settings import TrainingSettings
from training.stages.distill import DistillSettings, distill, distillation_targets
from training.stages.finetune import FinetuneSettings, finetune
from training.stages.pretrain import PretrainSettings, pretrain
from training.stages.selftrain import SelftrainSettings, selftrain

SMALL = TrainingSettings(
    pretrain=PretrainSettings(epochs=3, batch_size=128),
    finetune=FinetuneSettings(steps=40, batch_size=64),
    selftrain=SelftrainSettings(epochs=2, batch_size=96, labelled_batch_size=32),
    distill=DistillSettings(epochs=2, batch_size=128),
)


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in module.state_dict().values()])


def test_pretraining_lowers_the_loss_without_labels(sample: Dataset) -> None:
    run = cpu_run()
    history = pretrain(small_backbone(), sample.images, SMALL.pretrain, run, NT_XENT)
    assert len(history.loss) == 3 * (1000 // 128)
    assert history.loss[0] < np.log(255) + 0.5
    assert np.mean(history.loss[-5:]) < history.loss[0] - 0.5
    assert history.learning_rate[-1] < max(history.learning_rate) / 100


def test_the_whole_training_is_bitwise_repeatable(sample: Dataset) -> None:
    data = forget_labels(sample, keep=100)
    one, again = train(data, SMALL)[0], train(data, SMALL)[0]
    assert torch.equal(weights(one), weights(again))
    other = train(data, replace(SMALL, seed=1))[0]
    assert not torch.equal(weights(one), weights(other))


def test_pretraining_descends_on_the_objective_that_it_is_given(sample: Dataset) -> None:
    """Here the squared distance of the projections of two views; it has no negatives."""
    run, sizes = cpu_run(), set()

    def squared_distance(z0: torch.Tensor, z1: torch.Tensor) -> torch.Tensor:
        sizes.add((z0.shape, z1.shape))
        return (z0 - z1).square().sum(dim=1).mean()

    history = pretrain(small_backbone(), sample.images, SMALL.pretrain, run, squared_distance)
    assert sizes == {((128, 64), (128, 64))}
    assert history.loss[-1] < history.loss[0] / 2


def test_the_widths_are_the_settings(sample: Dataset) -> None:
    made: dict[str, torch.nn.Module | torch.Tensor] = {}
    data = forget_labels(sample, keep=100)
    settings = replace(SMALL, teacher_widths=(8, 16, 24), student_widths=(4, 8, 12))
    train(data, settings, observe=lambda stage, result: made.update({stage: result}))
    for stage, widths in (("pretrain", (8, 16, 24)), ("selftrain", (8, 16, 24)), ("distill", (4, 8, 12))):
        network = made[stage]
        assert isinstance(network, torch.nn.Module)
        convolutions = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
        assert tuple(layer.out_channels for layer in convolutions) == widths


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 7, 9), (3, 41, 30), (2, 64, 50)])
def test_a_backbone_fits_images_of_any_shape(shape: tuple[int, int, int]) -> None:
    backbone = Backbone(shape, (8, 8, 16), dim=5).eval()
    assert backbone(torch.zeros((2, *shape), dtype=torch.uint8)).shape == (2, 5)


def test_finetuning_learns_the_labelled_images(sample: Dataset) -> None:
    labelled = sample.subset(torch.arange(100))
    settings = FinetuneSettings(steps=150, batch_size=64, learning_rate=3e-3)
    classifier, history = finetune(small_backbone(), labelled, settings, cpu_run())
    with torch.no_grad():
        assert (classifier(labelled.images).argmax(1) == labelled.labels).float().mean() > 0.97
    assert not classifier.training
    assert history.loss[-1] < history.loss[0]


def test_selftraining_improves_on_its_teacher(sample: Dataset) -> None:
    """900 unlabelled digits improve a classifier of 100 labels on those 900, without propagated labels."""
    data = forget_labels(sample, keep=100)
    run = cpu_run()
    settings = FinetuneSettings(steps=200, batch_size=64, learning_rate=3e-3)
    classifier, _ = finetune(small_backbone(), data.labelled(), settings, run)

    def right(model: Classifier) -> float:
        with torch.no_grad():
            return float((model(sample.images[100:]).argmax(1) == sample.labels[100:]).float().mean())

    before = right(classifier)
    student, _ = selftrain(
        classifier,
        data,
        torch.full((1000, 10), 0.1),
        SelftrainSettings(epochs=20, neighbours_epochs=0, batch_size=128, threshold=0.9, teacher_decay=0.95),
        run,
    )
    assert right(student) > before + 0.01


def test_selftraining_learns_from_confident_propagated_labels(sample: Dataset) -> None:
    """With the true labels as propagated ones it gets more right than from 100 labels alone."""
    data = forget_labels(sample, keep=100)
    truth = torch.nn.functional.one_hot(sample.labels, 10).float()

    def right(weight: float) -> float:
        run = cpu_run()
        settings = SelftrainSettings(
            epochs=10,
            neighbours_epochs=0,
            batch_size=100,
            labelled_batch_size=16,
            teacher_decay=0.9,
            neighbours_weight=weight,
        )
        classifier = small_classifier()
        student, _ = selftrain(classifier, data, truth, settings, run)
        with torch.no_grad():
            return float((student(sample.images).argmax(1) == sample.labels).float().mean())

    assert right(1.0) > right(0.0) + 0.05


def test_selftraining_corrects_confident_errors_of_its_teacher(sample: Dataset) -> None:
    """Fitted to sevens labelled 2; the propagated labels are right, and used alone in the first epochs or never."""
    data = forget_labels(sample, keep=100)
    sevens = sample.labels == 7
    hints = torch.nn.functional.one_hot(sample.labels, 10) * 0.5 + 0.05
    settings = FinetuneSettings(steps=150, batch_size=64, learning_rate=3e-3, label_smoothing=0.0)
    mislabelled = replace(sample, labels=torch.where(sevens, 2, sample.labels))
    misled, _ = finetune(small_backbone(), mislabelled, settings, cpu_run())

    def sevens_right(neighbours_epochs: int) -> float:
        selftraining = SelftrainSettings(
            epochs=6, neighbours_epochs=neighbours_epochs, batch_size=100, labelled_batch_size=8, teacher_decay=0.9
        )
        student, _ = selftrain(copy.deepcopy(misled), data, hints, selftraining, cpu_run())
        with torch.no_grad():
            return float((student(sample.images[sevens]).argmax(1) == 7).float().mean())

    assert sevens_right(3) > sevens_right(0) + 0.2


def test_the_targets_of_labelled_images_are_their_labels(sample: Dataset) -> None:
    data = forget_labels(sample, keep=100)
    teacher = small_classifier()
    neighbours = torch.full((1000, 10), 0.1)
    targets = distillation_targets(teacher, data, neighbours, DistillSettings(), cpu_run())
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(1000))
    assert torch.equal(targets[:100], torch.nn.functional.one_hot(data.labels[:100], 10).float())
    assert targets[100:].max() < 0.9  # an untrained teacher is not sure


def test_a_student_learns_its_targets(sample: Dataset) -> None:
    targets = torch.nn.functional.one_hot((sample.labels + 1) % 10, 10).float()
    student = small_classifier()
    settings = DistillSettings(epochs=12, batch_size=100)
    history = distill(student, sample.images, targets, settings, cpu_run())
    assert not student.training
    assert len(history.loss) == 120
    with torch.no_grad():
        assert (student(sample.images).argmax(1) == targets.argmax(1)).float().mean() > 0.9


def test_distribution_alignment_evens_out_a_biased_teacher() -> None:
    align = DistributionAlignment(torch.tensor([0.5, 0.5]), momentum=0.0)
    aligned = align(torch.tensor([[0.8, 0.2], [0.6, 0.4]]))
    torch.testing.assert_close(aligned.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(aligned[0, 0], torch.tensor(0.8 / 0.7 / (0.8 / 0.7 + 0.2 / 0.3)))
    assert aligned[1].argmax() == 1  # below the average of class 0


def test_too_few_images_for_a_batch_are_refused(sample: Dataset) -> None:
    run = cpu_run()
    with pytest.raises(ValueError, match="fewer than one batch"):
        pretrain(small_backbone(), sample.images[:100], SMALL.pretrain, run, NT_XENT)
    classifier = small_classifier()
    with pytest.raises(ValueError, match="fewer than one batch"):
        selftrain(classifier, sample.subset(torch.arange(50)), torch.ones(50, 10) / 10, SMALL.selftrain, run)
    with pytest.raises(ValueError, match="fewer than one batch"):
        distill(classifier, sample.images[:50], torch.ones(50, 10) / 10, SMALL.distill, run)
    with pytest.raises(ValueError, match="at least one labelled"):
        finetune(small_backbone(), sample.subset(torch.arange(0)), SMALL.finetune, run)


def test_a_diverging_loss_stops_the_run() -> None:
    model = torch.nn.Linear(1, 1)
    optimisation = Optimisation(model, FinetuneSettings(learning_rate=1.0, weight_decay=0.0), 3)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        optimisation.step(model(torch.tensor([float("nan")])).sum())


def test_the_served_network_is_tiny_and_its_outputs_fit_together(sample: Dataset) -> None:
    classifier = small_classifier()
    served = ServedModel(classifier, NoveltyHead(288, 64, torch.Generator())).eval()
    assert count_parameters(served) <= 60_000
    logits, probabilities, embedding, novelty = served(sample.images[:8])
    torch.testing.assert_close(probabilities, logits.softmax(1))
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(8))
    assert novelty.shape == (8,)
    blank = served(torch.zeros(1, 1, 28, 28, dtype=torch.uint8))
    assert all(bool(output.isfinite().all()) for output in blank)


@pytest.mark.parametrize("steps", range(1, 13))
def test_a_stage_may_be_short(steps: int) -> None:
    model = torch.nn.Linear(1, 1)
    optimisation = Optimisation(model, FinetuneSettings(learning_rate=0.1, weight_decay=0.0), steps)
    for _ in range(steps):
        optimisation.step(model(torch.ones(1)).sum() ** 2)
    assert len(optimisation.history.loss) == len(optimisation.history.learning_rate) == steps
    assert max(optimisation.history.learning_rate) <= 0.1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (TrainingSettings(images=70_000), "--images 70000"),
        (TrainingSettings(images=0), "--images 0"),
        (TrainingSettings(labels=0), "--labels 0"),
        (TrainingSettings(images=600, labels=601), "--labels 601"),
        (TrainingSettings(index_size=0), "--index-size 0"),
        (TrainingSettings(images=500), "--pretrain.batch-size 512"),
        (TrainingSettings(images=520, selftrain=SelftrainSettings(batch_size=521)), "--selftrain.batch-size 521"),
        (TrainingSettings(images=520, distill=DistillSettings(batch_size=521)), "--distill.batch-size 521"),
        (TrainingSettings(images=15, labels=10), "--propagate.neighbours 15"),
    ],
)
def test_counts_that_cannot_work_are_named_before_anything_runs(settings: TrainingSettings, words: str) -> None:
    TrainingSettings().check(60_000)
    with pytest.raises(ValueError, match=words):
        settings.check(60_000)
