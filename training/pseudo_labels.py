"""Operations on class probabilities that serve as labels. Knows nothing about images or networks."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


def scale_to(scores: NDArray[np.float32], frequencies: NDArray[np.float32], rounds: int = 50) -> NDArray[np.float32]:
    """Scales (n, classes) scores to rows that sum to 1 and columns with the means `frequencies`: Sinkhorn & Knopp 1967.

    A row of zeros (an image that no label reaches) starts as `frequencies`.
    """
    scores = np.where(scores.sum(axis=1, keepdims=True) > 0, scores, frequencies)
    for _ in range(rounds):
        scores = scores * (frequencies / scores.mean(axis=0).clip(1e-12))
        scores = scores / scores.sum(axis=1, keepdims=True)
    return np.asarray(scores, dtype=np.float32)


def combine(probabilities: Tensor, others: Tensor, weight: float) -> Tensor:
    """Normalised product of two (n, classes) distributions, the second to the power of `weight`.

    Probabilities are clamped from below, so that a 0 in one cannot rule a class out.
    """
    return (probabilities.clamp_min(1e-6).log() + weight * others.clamp_min(1e-4).log()).softmax(dim=1)


class DistributionAlignment(nn.Module):
    """Rescales predictions so that their running mean is `target` (Berthelot et al. 2020, arXiv:1911.09785).

    Args:
        target: (classes,) float, the class frequencies to keep; sums to 1.
    """

    def __init__(self, target: Tensor, momentum: float = 0.99) -> None:
        super().__init__()
        self._target, self._momentum = target, momentum
        self.mean: Tensor = nn.Buffer(target.clone())

    def forward(self, probabilities: Tensor) -> Tensor:
        """(n, classes) → (n, classes), rows sum to 1; also updates the running mean."""
        self.mean = self._momentum * self.mean + (1 - self._momentum) * probabilities.mean(dim=0)
        aligned = probabilities * (self._target / self.mean)
        return aligned / aligned.sum(dim=1, keepdim=True)
