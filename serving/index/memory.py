"""Nearest neighbours of an embedding among those of a bundle's index. Knows nothing about images or HTTP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypedDict
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.manifest import BundleError
from serving.index.items import LabelSource, Source

BLOCK = 64
"""Images of a block, whose best score is looked at first."""
COLUMNS = {"ids": "U", "labels": "iu", "label_given": "b"}
"""Arrays of the file, besides `embeddings`, and the kinds of numbers or text that they hold."""


class Neighbor(TypedDict):
    """One similar image, as it is answered."""

    id: str
    label: str | None
    """Name of its class; None where nothing is known of it."""
    label_source: LabelSource | Literal["predicted"] | None
    """Whether the label came with the image, is what a person said, or the model's own guess; None without a label."""
    source: Source
    """Whether it is one of the bundle's own, or a user's."""
    score: float
    """Cosine similarity, in [-1, 1]."""


class Query(NamedTuple):
    """What is searched for."""

    embedding: NDArray[np.float32]
    """(dim,), unit norm."""
    k: int
    """How many neighbours, at least 1."""
    label: str | None = None
    """Finds only images with this label, "" those without one; None finds all. `LiveIndex` alone heeds it."""
    source: Source | None = None
    """Finds only the bundle's own images, or only users'; None finds all. `LiveIndex` alone heeds it."""


class NeighborIndex:
    """Exact search over unit vectors: one matrix product for all queries of a batch.

    Args:
        ids: n names. embeddings: (n, dim), unit L2 norm. labels: n class names, or None. given: (n,) bool.
        path: the file that they are from.
    """

    def __init__(
        self,
        ids: Sequence[str],
        embeddings: NDArray[np.floating],
        labels: Sequence[str | None],
        given: NDArray[np.bool_],
        path: Path | None = None,
    ) -> None:
        if not len(ids) == len(embeddings) == len(labels) == len(given):
            raise ValueError("ids, embeddings, labels and given must be equally long")
        self.ids = ids
        self.embeddings = np.ascontiguousarray(embeddings, np.float32)
        self.labels = labels
        self.path = path
        self.sources = [_source(label, one) for label, one in zip(labels, given.tolist(), strict=True)]

    @classmethod
    def load(cls, path: Path, dim: int, class_names: Sequence[str]) -> Self:
        """Reads a bundle's index, whose labels are indices of classes, or -1 for none.

        Raises BundleError when it does not fit a model of `dim` numbers an embedding and these classes.
        """
        try:
            with np.load(path) as arrays:
                ids, labels, given = (_column(arrays[name], kind) for name, kind in COLUMNS.items())
                if not np.isin(labels, range(-1, len(class_names))).all():
                    raise ValueError(f"labels that are no indices of {len(class_names)} classes")
                "".join(ids.tolist()).encode()  # raises for a path that is no text, which no answer could hold
                names = [*class_names, None]
                index = cls(ids.tolist(), arrays["embeddings"], [names[one] for one in labels.tolist()], given, path)
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise BundleError(f"{path}: not an index: {error}") from error
        if index.embeddings.shape[1:] != (dim,):
            raise BundleError(f"{path}: embeddings of shape {index.embeddings.shape}, the model gives {dim}")
        return index

    def __len__(self) -> int:
        return len(self.ids)

    def search(self, queries: Sequence[Query]) -> list[list[Neighbor]]:
        """The `k` most similar images of each query (all, when there are fewer), best first; all queries at once."""
        if not self.ids:
            return [[] for _ in queries]
        embeddings = np.stack([query.embedding for query in queries])
        scores, indices = best(
            scores_of(embeddings, self.embeddings), min(len(self), max(query.k for query in queries))
        )
        return [
            [self._neighbor(i, score) for i, score in zip(row[: query.k], values, strict=False)]
            for query, row, values in zip(queries, indices.tolist(), scores.tolist(), strict=True)
        ]

    def _neighbor(self, i: int, score: float) -> Neighbor:
        return {
            "id": self.ids[i],
            "label": self.labels[i],
            "label_source": self.sources[i],
            "source": "bundle",
            "score": score,
        }


def scores_of(embeddings: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines of (n, dim) unit vectors to `rows` (size, dim): (n, size and what whole blocks need, -inf)."""
    size = len(rows)
    scores = np.empty((len(embeddings), -(-size // BLOCK) * BLOCK), np.float32)
    scores[:, size:] = -np.inf
    np.matmul(embeddings, rows.T, out=scores[:, :size])
    return scores


def best(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The `k` best of each row of `scores_of` and their columns: both (n, at most k), best first; padding may be last.

    Only the `k` blocks with the highest maxima can hold them, so that few scores need sorting. A block is every
    (columns / BLOCK)-th column: the maxima of all blocks are then found at once, column beside column.
    """
    n, columns = scores.shape
    blocks, k = columns // BLOCK, min(k, columns)
    in_blocks = scores.reshape(n, BLOCK, blocks)
    chosen = _largest(in_blocks.max(axis=1), min(k, blocks))  # (n, blocks that matter)
    candidates = np.take_along_axis(in_blocks, chosen[:, None, :], axis=2).reshape(n, -1)
    found = _largest(candidates, k)
    values = np.take_along_axis(candidates, found, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    found = np.take_along_axis(found, order, axis=1)
    block = np.take_along_axis(chosen, found % chosen.shape[1], axis=1)
    return np.take_along_axis(values, order, axis=1), found // chosen.shape[1] * blocks + block


def _column(values: NDArray[Any], kind: str) -> NDArray[Any]:
    """`values`, if they are (n,) of such a kind, as `dtype.kind` names it; raises ValueError."""
    if values.ndim != 1 or values.dtype.kind not in kind:
        raise ValueError(f"{values.dtype} {values.shape} where (n,) of the kind {kind} is needed")
    return values


def _source(label: str | None, given: bool) -> Literal["given", "predicted"] | None:
    if label is None:
        return None
    return "given" if given else "predicted"


def _largest(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Indices of the `k` largest of each row, in no order: (n, k)."""
    return np.argpartition(values, values.shape[1] - k, axis=1)[:, -k:]
