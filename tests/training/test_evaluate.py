import numpy as np
import pytest

from training.evaluate import accuracy, expected_calibration_error, share


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    metric = share(np.arange(n) < successes)
    return metric.low, metric.high


def test_wilson_interval_of_a_published_example() -> None:
    """Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3: 81 of 263, and 0 of 20, and 1 of 29."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_the_interval_of_certainty_stays_below_one() -> None:
    assert wilson_interval(20, 20) == pytest.approx((0.8389, 1.0), abs=5e-5)


def test_accuracy_counts() -> None:
    metric = accuracy(np.array([1, 2, 3, 3]), np.array([1, 2, 3, 4]))
    assert metric.value == 0.75
    assert metric.n == 4
    assert metric.low < 0.75 < metric.high


def test_accuracy_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be scored"):
        accuracy(np.array([], np.int64), np.array([], np.int64))


def test_calibration_error_of_cases_counted_by_hand() -> None:
    """Two answers of 0.9, one right; two of 0.6, both right: (2·|0.5 − 0.9| + 2·|1 − 0.6|) / 4."""
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.4, 0.6]])
    assert expected_calibration_error(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(0.4)
    assert expected_calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0


def test_calibration_error_vanishes_for_answers_that_come_true_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, 200_000)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = (random.uniform(size=200_000) > confidence).astype(np.int64)
    assert expected_calibration_error(probabilities, labels) < 0.005
