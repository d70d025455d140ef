"""Embeddings → places on a map, where those that are alike lie together. numpy alone; knows no images and no HTTP.

After UMAP (McInnes, Healy and Melville 2018): neighbours attract each other, random others repel. Here all images move
at once, once an epoch, each with one neighbour drawn by its weight and a few others.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

NEIGHBOURS = 12
"""Of an image that attract it."""
EPOCHS = 250
OTHERS = 8
"""Random images that repel one in an epoch: more than UMAP's, so that what belongs together fills its place."""
A, B = 0.583, 1.334
"""UMAP's curve 1 / (1 + a d^2b) for a least distance of 0.5 (section 3 of its article), as its program fits them."""
STEP = 1.0
"""Of the first epoch; it falls to 0."""
MOST = 4.0
"""Longest way of an image by one other, as UMAP's program has it."""
ROWS = 512
"""Similarities that are computed at a time."""
SPREAD = 4.0
"""Standard deviation of the first places, along the axis of most of it."""


def layout(vectors: NDArray[np.floating], seed: int = 0) -> Floats:
    """(n, dim) of unit norm → (n, 2) places, centred, nearly all in [-1, 1]; the same again for the same vectors.

    10,000 vectors of 64 numbers take a second of one core.
    """
    vectors = np.asarray(vectors, np.float32)
    if len(vectors) < 4:
        return np.repeat(np.linspace(-0.5, 0.5, len(vectors), dtype=np.float32)[:, None], 2, axis=1)
    rng = np.random.default_rng(seed)
    nearest, weights = _graph(vectors, min(NEIGHBOURS, len(vectors) - 1))
    places = _principal(vectors) + rng.normal(0, 1e-2, (len(vectors), 2)).astype(np.float32)
    rows = np.arange(len(vectors))
    chances = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    for epoch in range(EPOCHS):
        drawn = (rng.random((len(rows), 1), np.float32) > chances[:, :-1]).sum(axis=1)
        step = np.float32(STEP * (1 - epoch / EPOCHS))
        _attract(places, nearest[rows, drawn], step)
        for others in rng.integers(0, len(rows), (OTHERS, len(rows))):
            _repel(places, others, step)
    return _scaled(places)


def placed(vectors: NDArray[np.floating], known: NDArray[np.floating], places: Floats) -> Floats:
    """(m, dim) → (m, 2): among the places, (n, 2), of the most similar of the known (n, dim), n ≥ 1."""
    vectors, known = np.asarray(vectors, np.float32), np.asarray(known, np.float32)
    found = np.empty((len(vectors), 2), np.float32)
    count = min(NEIGHBOURS // 3, len(known))
    for start in range(0, len(vectors), ROWS):
        similar = vectors[start : start + ROWS] @ known.T
        nearest = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        weights = np.exp(8 * np.take_along_axis(similar, nearest, axis=1))[..., None]
        found[start : start + ROWS] = (weights * places[nearest]).sum(axis=1) / weights.sum(axis=1)
    return found


def _graph(vectors: Floats, count: int) -> tuple[Indices, Floats]:
    """The `count` most similar others of each, (n, count), and how much each weighs, as UMAP weighs distances."""
    nearest = np.empty((len(vectors), count), np.int64)
    distances = np.empty((len(vectors), count), np.float32)
    for start in range(0, len(vectors), ROWS):
        similar = vectors[start : start + ROWS] @ vectors.T
        similar[np.arange(len(similar)), np.arange(start, start + len(similar))] = -2  # none is its own neighbour
        found = np.argpartition(similar, -count, axis=1)[:, -count:]
        nearest[start : start + ROWS] = found
        distances[start : start + ROWS] = 1 - np.take_along_axis(similar, found, axis=1)
    beyond = distances - distances.min(axis=1, keepdims=True)
    return nearest, np.exp(-beyond / beyond.mean(axis=1, keepdims=True).clip(1e-6))


def _principal(vectors: Floats) -> Floats:
    """The two directions of most variance, (n, 2)."""
    centred = vectors - vectors.mean(axis=0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, -1:-3:-1]
    if directions.shape[1] < 2:
        directions = np.pad(directions, ((0, 0), (0, 1)))
    signs = np.where(directions.sum(axis=0) < 0, -1, 1)
    found = centred @ (directions * signs)
    return np.asarray(found * (SPREAD / max(float(found.std(axis=0).max()), 1e-6)), np.float32)


def _attract(places: Floats, others: Indices, step: np.float32) -> None:
    """Moves each towards its other, and that one towards it."""
    apart = places - places[others]
    squared = (apart**2).sum(axis=1, keepdims=True).clip(1e-8)
    force = -2 * A * B * squared ** (B - 1) / (1 + A * squared**B)
    moves = (force * apart).clip(-MOST, MOST) * step
    places += moves
    for axis in (0, 1):
        places[:, axis] -= np.bincount(others, moves[:, axis], len(places))


def _repel(places: Floats, others: Indices, step: np.float32) -> None:
    """Moves each away from its other."""
    apart = places - places[others]
    squared = (apart**2).sum(axis=1, keepdims=True)
    force = 2 * B / ((1e-3 + squared) * (1 + A * squared**B))
    places += (force * apart).clip(-MOST, MOST) * step


def _scaled(places: Floats) -> Floats:
    """Centred, 99 of 100 in [-1, 1] along each axis, its two axes to one scale."""
    low, high = np.percentile(places, (0.5, 99.5), axis=0)
    return np.asarray((places - (low + high) / 2) / max(float((high - low).max()) / 2, 1e-6), np.float32)
