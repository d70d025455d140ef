"""Probabilities that mean what they say, as far as few labels allow. Knows no networks."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax

from models.manifest import Metric
from training.soft_labels import Predicted

FEWEST = 20
"""Labels below which nothing is scaled: k-fold on them tells too little."""
BOUNDS = (0.05, 20.0)
"""Between which the temperature is looked for."""


def expected_accuracy(hidden: Predicted, frequencies: NDArray[np.floating]) -> float:
    """Share of all images that are likely right: the recalls by k-fold, weighted by the classes' frequencies.

    Args:
        frequencies: (classes,) of the classes among all images.
    """
    weights = frequencies[np.unique(hidden.labels)]
    return float(hidden.recalls @ weights / weights.sum())


def temperature(logits: NDArray[np.floating], accuracy: float, labels: int) -> float | None:
    """What to divide logits by, so that the mean probability of the answers is the accuracy.

    A network that is right about 70 % of pictures then says 70 % on average. None where there are too few labels.

    Args:
        logits: (n, classes), of images like those to be answered.
        accuracy: share of them that is right, measured on so many `labels`.
    """
    classes = logits.shape[1]
    if labels < FEWEST or classes < 2:
        return None
    wanted = np.clip(accuracy, 1 / classes, 1 - 1 / (labels + 2))  # nobody knows certainty from so few

    def excess(logarithm: float) -> float:
        return float(softmax(logits / np.exp(logarithm), axis=1).max(axis=1).mean() - wanted)

    low, high = np.log(BOUNDS)
    if excess(low) < 0 or excess(high) > 0:
        return float(BOUNDS[0] if excess(low) < 0 else BOUNDS[1])
    return float(np.exp(brentq(excess, low, high, xtol=1e-3)))


def mean_probability(probabilities: NDArray[np.floating]) -> Metric:
    """Of the answers to (n, classes), n > 0, with the 95 % interval of the mean: to be compared with the accuracy."""
    each = probabilities.max(axis=1).astype(np.float64)
    reach = 1.96 * float(each.std()) / len(each) ** 0.5
    value = float(each.mean())
    return Metric(value, max(0.0, value - reach), min(1.0, value + reach), len(each))
