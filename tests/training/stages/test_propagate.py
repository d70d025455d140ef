"""Label propagation against small cases worked out by hand, and on real digits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.training.networks import NT_XENT, cpu_run, small_backbone
from training.data.dataset import UNLABELLED, Dataset
from training.pseudo_labels import combine, scale_to
from training.stages.pretrain import PretrainSettings, pretrain
from training.stages.propagate import (
    PropagateSettings,
    class_frequencies,
    embed,
    propagate,
)
from training.views.digits import ViewSettings


def test_scaling_meets_rows_and_columns() -> None:
    scores = np.random.default_rng(0).random((500, 3), np.float32)
    scores[0] = 0
    frequencies = np.array([0.5, 0.3, 0.2], np.float32)
    scaled = scale_to(scores, frequencies)
    np.testing.assert_allclose(scaled.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(scaled.mean(axis=0), frequencies, rtol=1e-4)


def test_class_frequencies_are_smoothed() -> None:
    frequencies = class_frequencies(torch.tensor([0, 0, 1]), 3, 1.0)
    assert frequencies.tolist() == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert class_frequencies(torch.tensor([0, 0, 1]), 3, 1e9).tolist() == pytest.approx([1 / 3] * 3)


def test_components_are_unit_vectors_of_real_rank(sample: Dataset) -> None:
    z = embed(small_backbone(), sample.images, PropagateSettings(), torch.Generator())
    assert z.shape == (1000, 128)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(1000))


def test_two_labels_a_digit_are_propagated_to_most_digits(sample: Dataset) -> None:
    """On the features of a short contrastive training, and better than the nearest labelled neighbour does."""
    first = [torch.nonzero(sample.labels == digit)[:2, 0] for digit in range(10)]
    known = torch.cat(first)
    labels = torch.full_like(sample.labels, UNLABELLED)
    labels[known] = sample.labels[known]
    data = replace(sample, labels=labels)
    backbone = small_backbone()
    settings = PretrainSettings(epochs=12, batch_size=128, views=ViewSettings())
    pretrain(backbone, data.images, settings, cpu_run(), NT_XENT)
    spread = propagate(backbone, data, PropagateSettings(), torch.Generator())
    torch.testing.assert_close(spread.sum(dim=1), torch.ones(1000))
    assert torch.equal(spread[known], F.one_hot(labels[known], 10).float())
    right = float((spread.argmax(dim=1) == sample.labels).float().mean())
    z = embed(backbone, data.images, PropagateSettings(), torch.Generator())
    neighbour = labels[known][(z @ z[known].T).argmax(dim=1)]
    assert right > float((neighbour == sample.labels).float().mean()) + 0.03
    assert right > 0.75
    assert torch.equal(spread, propagate(backbone, data, PropagateSettings(), torch.Generator()))


def test_more_neighbours_than_images_are_refused(sample: Dataset) -> None:
    data = sample.subset(torch.arange(60))
    with pytest.raises(ValueError, match=r"--propagate\.neighbours 60"):
        propagate(small_backbone(), data, PropagateSettings(neighbours=60), torch.Generator())


def test_two_distributions_are_multiplied_and_no_zero_rules_a_class_out() -> None:
    unsure, sure = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.8, 0.2]])
    torch.testing.assert_close(combine(unsure, sure, 1.0), sure)
    torch.testing.assert_close(combine(sure, sure, 1.0), torch.tensor([[0.64 / 0.68, 0.04 / 0.68]]))
    torch.testing.assert_close(combine(unsure, sure, 2.0), torch.tensor([[0.64 / 0.68, 0.04 / 0.68]]))
    assert combine(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 1.0).isfinite().all()
