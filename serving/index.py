"""Nearest neighbours of an embedding among those of a bundle's index. Knows nothing about images or HTTP."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.manifest import BundleError


@dataclass(frozen=True)
class Neighbor:
    """One similar image."""

    id: str
    label: int
    """Index of its class."""
    label_source: Literal["given", "predicted"]
    """Whether the label came with the image or is the model's own guess."""
    score: float
    """Cosine similarity, in [-1, 1]."""


class NeighborIndex:
    """Exact search over unit vectors: one matrix-vector product.

    Args:
        ids: n names. embeddings: (n, dim), unit L2 norm. labels: (n,) class indices. given: (n,) bool.
    """

    def __init__(
        self,
        ids: list[str],
        embeddings: NDArray[np.floating],
        labels: NDArray[np.integer],
        given: NDArray[np.bool_],
    ) -> None:
        if not len(ids) == len(embeddings) == len(labels) == len(given):
            raise ValueError("ids, embeddings, labels and given must be equally long")
        self._ids = ids
        self._embeddings = np.ascontiguousarray(embeddings, np.float32)
        self._labels = labels
        self._given = given

    @classmethod
    def load(cls, path: Path, dim: int) -> Self:
        """Reads a bundle's index; raises BundleError when it does not fit a model of `dim` numbers an embedding."""
        try:
            with np.load(path) as arrays:
                index = cls(arrays["ids"].tolist(), arrays["embeddings"], arrays["labels"], arrays["label_given"])
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise BundleError(f"{path}: not an index: {error}") from error
        if index._embeddings.shape[1:] != (dim,):
            raise BundleError(f"{path}: embeddings of shape {index._embeddings.shape}, the model gives {dim}")
        return index

    def __len__(self) -> int:
        return len(self._ids)

    def search(self, embedding: NDArray[np.float32], k: int) -> list[Neighbor]:
        """The `k` most similar images (all, when there are fewer), best first; `embedding` is (dim,), unit norm."""
        scores = self._embeddings @ embedding  # (n,)
        k = min(k, len(scores))
        best = np.argpartition(-scores, k - 1)[:k]
        best = best[np.argsort(-scores[best], kind="stable")]
        return [
            Neighbor(
                id=self._ids[i],
                label=int(self._labels[i]),
                label_source="given" if self._given[i] else "predicted",
                score=float(scores[i]),
            )
            for i in best
        ]
