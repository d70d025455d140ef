import numpy as np
import pytest
from scipy.special import softmax

from training.own.calibration import expected_accuracy, mean_probability, temperature
from training.soft_labels import Predicted

LOGITS = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32) * 9


def test_mean_probability_becomes_the_accuracy() -> None:
    scale = temperature(LOGITS, 0.7, 100)
    assert scale is not None
    assert scale > 1
    assert softmax(LOGITS / scale, axis=1).max(axis=1).mean() == pytest.approx(0.7, abs=0.002)


def test_logits_that_are_too_weak_become_stronger() -> None:
    scale = temperature(LOGITS / 100, 0.7, 100)
    assert scale is not None
    assert scale < 1
    assert softmax(LOGITS / 100 / scale, axis=1).max(axis=1).mean() == pytest.approx(0.7, abs=0.002)


def test_no_certainty_from_few_labels() -> None:
    scale = temperature(LOGITS, 1.0, 48)
    assert scale is not None
    assert softmax(LOGITS / scale, axis=1).max(axis=1).mean() == pytest.approx(0.98, abs=0.002)


@pytest.mark.parametrize(("logits", "labels"), [(LOGITS, 19), (LOGITS[:, :1], 100)])
def test_too_little_is_known(logits: np.ndarray, labels: int) -> None:
    assert temperature(logits, 0.7, labels) is None


def test_no_answer_at_all_stays_within_the_bounds() -> None:
    assert temperature(np.zeros((9, 3), np.float32), 0.7, 100) == 0.05
    assert temperature(LOGITS * 1e6, 0.34, 100) == 20.0


def test_accuracy_of_all_images_counts_frequent_classes_more() -> None:
    hidden = Predicted(np.array([0, 0, 2, 2]), np.array([0, 0, 2, 0]))
    assert expected_accuracy(hidden, np.array([0.8, 0.1, 0.1])) == pytest.approx((0.8 * 1 + 0.1 * 0.5) / 0.9)


def test_mean_probability_has_an_interval() -> None:
    metric = mean_probability(np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]]))
    assert metric.n == 3
    assert metric.value == pytest.approx(0.7333, abs=1e-3)
    assert metric.low < metric.value < metric.high
