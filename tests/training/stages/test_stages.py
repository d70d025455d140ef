"""Each stage learns on a small real problem, twice the same."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.training.networks import NT_XENT, cpu_run, small_backbone, small_classifier
from training.data.dataset import Dataset, forget_labels
from training.loop import Optimisation
from training.networks import Backbone, Classifier, NoveltyHead, ServedModel, count_parameters
from training.pipeline import train
from training.pseudo_labels import DistributionAlignment
from training.settings import TrainingSettings
from training.stages.finetune import FinetuneSettings, finetune, propagated_weight
from training.stages.pretrain import PretrainSettings, pretrain

SMALL = TrainingSettings(
    pretrain=PretrainSettings(epochs=3, batch_size=128),
    finetune=FinetuneSettings(epochs=3, batch_size=96),
)


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in module.state_dict().values()])


def right(classifier: Classifier, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of the images that `classifier` names as `labels` do."""
    with torch.no_grad():
        return float((classifier(images).argmax(1) == labels).float().mean())


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
    train(data, replace(SMALL, widths=(8, 16, 24)), observe=lambda stage, result: made.update({stage: result}))
    for stage in ("pretrain", "finetune"):
        network = made[stage]
        assert isinstance(network, torch.nn.Module)
        convolutions = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
        assert tuple(layer.out_channels for layer in convolutions) == (8, 16, 24)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 7, 9), (3, 41, 30), (2, 64, 50)])
def test_a_backbone_fits_images_of_any_shape(shape: tuple[int, int, int]) -> None:
    backbone = Backbone(shape, (8, 8, 16), dim=5).eval()
    assert backbone(torch.zeros((2, *shape), dtype=torch.uint8)).shape == (2, 5)


def test_finetuning_learns_the_propagated_labels(sample: Dataset) -> None:
    """Even where they are wrong, as long as it follows them alone."""
    propagated = F.one_hot((sample.labels + 1) % 10, 10).float()
    settings = FinetuneSettings(epochs=12, propagated_epochs=12, batch_size=100, decay=0.9)
    classifier, history = finetune(small_classifier(), sample.images, propagated, settings, cpu_run())
    assert not classifier.training
    assert len(history.loss) == 120
    assert history.loss[-1] < history.loss[0]
    assert right(classifier, sample.images, propagated.argmax(1)) > 0.9


def test_few_propagated_labels_count_less() -> None:
    weights = [propagated_weight(labels, 3.0) for labels in (0.5, 1, 2, 8, 16, 1000)]
    assert weights == [1.0, 1.0, 1.5, 2.5, 3.0, 3.0]


def test_finetuning_improves_on_itself(sample: Dataset) -> None:
    """900 unlabelled digits improve a classifier of 100 labels on those 900, though nothing is propagated to them."""
    known, others = sample.subset(torch.arange(100)), sample.subset(torch.arange(100, 1000))
    alone = FinetuneSettings(epochs=200, propagated_epochs=200, batch_size=100, decay=0.9, learning_rate=3e-3)
    labels = F.one_hot(known.labels, 10).float()
    classifier, _ = finetune(small_classifier(), known.images, labels, alone, cpu_run())
    before = right(classifier, others.images, others.labels)
    settings = FinetuneSettings(epochs=20, propagated_epochs=0, batch_size=100, decay=0.95, learning_rate=3e-3)
    nothing = torch.cat([labels, torch.full((900, 10), 0.1)])
    classifier, _ = finetune(classifier, sample.images, nothing, settings, cpu_run())
    assert right(classifier, others.images, others.labels) > before + 0.01


def test_finetuning_is_led_by_the_propagated_labels(sample: Dataset) -> None:
    """A network that was fitted to sevens labelled 2; the propagated labels are right, come first or count more."""
    sevens = sample.labels == 7
    mislabelled = F.one_hot(torch.where(sevens, 2, sample.labels), 10).float()
    settings = FinetuneSettings(epochs=12, propagated_epochs=12, batch_size=100, decay=0.9)
    misled, _ = finetune(small_classifier(), sample.images, mislabelled, settings, cpu_run())
    hints = F.one_hot(sample.labels, 10) * 0.5 + 0.05

    def sevens_right(first: int, weight: float) -> float:
        again = FinetuneSettings(epochs=6, propagated_epochs=first, propagated_weight=weight, batch_size=100, decay=0.9)
        classifier, _ = finetune(copy.deepcopy(misled), sample.images, hints, again, cpu_run())
        return right(classifier, sample.images[sevens], sample.labels[sevens])

    neither = sevens_right(0, 1.0)
    assert sevens_right(3, 1.0) > neither + 0.2
    assert sevens_right(0, 3.0) > neither + 0.2


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
    with pytest.raises(ValueError, match="fewer than one batch"):
        finetune(small_classifier(), sample.images[:50], torch.ones(50, 10) / 10, SMALL.finetune, run)


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
        (TrainingSettings(images=250), "--pretrain.batch-size 256"),
        (TrainingSettings(images=520, finetune=FinetuneSettings(batch_size=521)), "--finetune.batch-size 521"),
        (TrainingSettings(images=15, labels=10), "--propagate.neighbours 15"),
    ],
)
def test_counts_that_cannot_work_are_named_before_anything_runs(settings: TrainingSettings, words: str) -> None:
    TrainingSettings().check(60_000)
    with pytest.raises(ValueError, match=words):
        settings.check(60_000)
