"""Soft labels of clouds of points, where the right answer is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.dataset import UNLABELLED
from training.soft_labels import (
    Predicted,
    SoftLabeller,
    SoftLabelSettings,
    chosen_method,
    folds,
    half_whitened,
    spread_out,
    unit,
)

SETTINGS = SoftLabelSettings(dimensions=8, neighbours=8)


def clouds(counts: list[int], spread: float = 0.6, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points around so many centres, shuffled, and whose centre each is."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(len(counts), 12))
    truth = random.permutation(np.repeat(np.arange(len(counts)), counts))
    points = centres[truth] + spread * random.normal(size=(len(truth), 12))
    return points.astype(np.float32), truth


def few(truth: NDArray[np.int64], each: int) -> NDArray[np.int64]:
    """Only the first so many labels of each class."""
    labels = np.full_like(truth, UNLABELLED)
    for one in np.unique(truth):
        labels[np.flatnonzero(truth == one)[:each]] = one
    return labels


def test_every_method_names_clouds_that_lie_apart() -> None:
    points, truth = clouds([200, 200, 200])
    labels = few(truth, 5)
    for probabilities in SoftLabeller(points, 3, SETTINGS).spread(labels).values():
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-4)
        assert (probabilities.argmax(axis=1) == truth).mean() > 0.97
        known = labels != UNLABELLED
        np.testing.assert_array_equal(probabilities[known], np.eye(3)[labels[known]])


def test_a_class_without_a_label_gets_nothing() -> None:
    points, truth = clouds([100, 100])
    for probabilities in SoftLabeller(points, 3, SETTINGS).spread(few(truth, 5)).values():
        assert probabilities[:, 2].max() < 1e-5


def test_unbalanced_classes_keep_their_frequencies() -> None:
    """71 % of one class, the labels drawn as they come: equal classes would name a third of them wrong."""
    points, truth = clouds([710, 150, 140], spread=1.2)
    labels = np.where(np.arange(1000) < 60, truth, UNLABELLED)
    labeller = SoftLabeller(points, 3, SETTINGS)
    found = labeller.spread(labels)["product"]
    assert abs((found.argmax(axis=1) == 0).mean() - 0.71) < 0.08
    assert (found.argmax(axis=1) == truth).mean() > 0.85


def test_frequencies_are_told_by_labels_that_were_not_chosen_by_class() -> None:
    points, truth = clouds([800, 200])
    labeller = SoftLabeller(points, 2, SETTINGS)
    as_they_came = np.where(np.arange(1000) < 100, truth, UNLABELLED)
    regression = labeller.regression(as_they_came)
    counts = np.bincount(truth[:100]) + 1
    np.testing.assert_allclose(labeller.frequencies(as_they_came, regression), counts / counts.sum(), rtol=1e-5)
    by_class = few(truth, 10)  # the classifier must find out
    assert labeller.frequencies(by_class, labeller.regression(by_class))[0] == pytest.approx(0.8, abs=0.1)
    told = SoftLabeller(points, 2, SETTINGS, np.array([0.3, 0.7], np.float32))
    np.testing.assert_array_equal(told.frequencies(by_class, regression), np.array([0.3, 0.7], np.float32))


def test_hidden_labels_are_hidden_from_everything() -> None:
    """Labels that say nothing cannot be foretold, however well each method repeats them when it sees them."""
    points, _ = clouds([600])
    random = np.random.default_rng(3)
    labels = np.full(600, UNLABELLED)
    labels[:300] = random.integers(0, 2, 300)
    for predicted in SoftLabeller(points, 2, SETTINGS).hidden(labels).values():
        assert 0.38 < predicted.accuracy < 0.62


def test_hidden_labels_of_clouds_are_found() -> None:
    points, truth = clouds([200, 200, 50])
    for predicted in SoftLabeller(points, 3, SETTINGS).hidden(few(truth, 10)).values():
        assert predicted.accuracy > 0.9
        np.testing.assert_array_equal(np.bincount(predicted.labels), [10, 10, 10])


def test_one_label_a_class_can_be_cut_into_folds() -> None:
    points, truth = clouds([50, 50, 50])
    predicted = SoftLabeller(points, 3, SETTINGS).hidden(few(truth, 1))["product"]
    assert predicted.accuracy == 0  # each is its class's only label
    parts = folds(np.array([0, 0, 0, 1]), 5, np.arange(4))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(4))


def test_a_fold_that_leaves_one_class_is_left_out() -> None:
    points, truth = clouds([50, 50])
    labels = few(truth, 20)
    labels[np.flatnonzero(labels == 1)[1:]] = UNLABELLED
    cuts = list(SoftLabeller(points, 2, SETTINGS).cuts(labels))
    assert len(cuts) == 4
    assert all(1 in shown for _, shown in cuts)
    assert not list(SoftLabeller(points, 2, SETTINGS).cuts(few(truth, 1)))


def test_copies_of_a_picture_are_hidden_together() -> None:
    """200 random points, each twice, with labels by chance: copies across folds would foretell them."""
    random = np.random.default_rng(0)
    points = np.repeat(random.normal(size=(200, 12)).astype(np.float32), 2, axis=0)
    labels = np.repeat(random.integers(0, 5, 200), 2)
    groups = np.repeat(np.arange(200), 2)
    told = SoftLabeller(points, 5, SETTINGS).hidden(labels)["propagation"]
    hidden = SoftLabeller(points, 5, SETTINGS, groups=groups).hidden(labels)["propagation"]
    assert hidden.accuracy < 0.3 < told.accuracy


def test_a_rare_class_stays_among_the_labels_that_are_fitted() -> None:
    labels = np.repeat([0, 1, 2], [2000, 2000, 3])
    chosen = spread_out(np.arange(len(labels)), labels, 200)
    np.testing.assert_array_equal(np.bincount(labels[chosen]), [100, 100, 3])


def test_folds_hold_every_label_once_and_each_class_evenly() -> None:
    labels = np.repeat([0, 1], [40, 10])
    parts = folds(labels, 5, np.arange(50))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(50))
    assert all((labels[part] == 1).sum() == 2 for part in parts)


def test_the_product_is_left_only_for_what_is_surely_better() -> None:
    truth = np.zeros(100, np.int64)
    right, wrong = truth, truth.copy()
    wrong[:30] = 1
    nearly = truth.copy()
    nearly[:1] = 1
    good, bad, fair = (Predicted(truth, answers) for answers in (right, wrong, nearly))
    assert chosen_method({"product": bad, "regression": good, "propagation": bad}) == "regression"
    assert chosen_method({"product": fair, "regression": good, "propagation": bad}) == "product"


def test_balanced_accuracy_is_the_mean_of_the_recalls() -> None:
    predicted = Predicted(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))
    assert predicted.accuracy == 0.75
    np.testing.assert_array_equal(predicted.recalls, [1, 0])
    assert predicted.balanced_accuracy == 0.5


def test_half_whitening_takes_the_root_of_each_deviation() -> None:
    points = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32) * [1, 4, 9]
    whitened = half_whitened((points - points.mean(axis=0)).astype(np.float32), 2)
    np.testing.assert_allclose(whitened.std(axis=0), [2, 3], rtol=0.05)
    np.testing.assert_allclose(np.linalg.norm(unit(whitened), axis=1), 1, rtol=1e-5)
