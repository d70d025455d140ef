"""Accuracy with its confidence interval, confusion matrix, calibration. Knows nothing about networks."""

import math

import numpy as np
from numpy.typing import NDArray

from models.manifest import Metric

Z_95 = 1.959964
"""The standard normal's 97.5 % quantile."""


def accuracy(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> Metric:
    """Share of (n,) predictions that equal their labels, with the Wilson (1927) score interval at 95 %."""
    if len(labels) == 0 or predicted.shape != labels.shape:
        raise ValueError(f"{predicted.shape} predictions cannot be scored against {labels.shape} labels")
    return share(predicted == labels)


def share(chosen: NDArray[np.bool_]) -> Metric:
    """Share of (n,) booleans, n > 0, that are true, with the same interval."""
    count, n = int(chosen.sum()), len(chosen)
    low, high = wilson_interval(count, n)
    return Metric(value=count / n, low=low, high=high, n=n)


def wilson_interval(successes: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of a proportion, which stays inside [0, 1] and keeps a width at both ends."""
    share = successes / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def confusion_matrix(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(classes, classes): row the true class, column the predicted one."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def expected_calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 15) -> float:
    """Guo et al. 2017 (arXiv:1706.04599), equation 3: |accuracy − confidence| over equally wide bins of confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(index, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
