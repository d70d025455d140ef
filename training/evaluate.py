"""Accuracy with its confidence interval, calibration. Knows nothing about networks."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from models.manifest import Metric


def accuracy(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> Metric:
    """Share of (n,) predictions that equal their labels, with the Wilson (1927) score interval at 95 %."""
    if len(labels) == 0 or predicted.shape != labels.shape:
        raise ValueError(f"{predicted.shape} predictions cannot be scored against {labels.shape} labels")
    return share(predicted == labels)


def share(chosen: NDArray[np.bool_]) -> Metric:
    """Share of (n,) booleans, n > 0, that are true, with the same interval."""
    count, n = int(chosen.sum()), len(chosen)
    interval = binomtest(count, n).proportion_ci(method="wilson")
    return Metric(value=count / n, low=float(interval.low), high=float(interval.high), n=n)


def expected_calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 15) -> float:
    """Guo et al. 2017 (arXiv:1706.04599), equation 3: |accuracy − confidence| over equally wide bins of confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(index, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
