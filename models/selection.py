"""Embeddings of images → which to label next, and which given labels to look at again. Knows no images, no networks.

The images to label are chosen so that every image has one with a label near it: greedy facility location (Nemhauser,
Wolsey and Fisher 1978; Lin and Bilmes 2011). Those that have labels count as chosen already, so that what nothing is
known of comes first; from the second round on, each image counts as much as the model doubts its label.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

UNLABELLED = -1
DIMENSIONS = 64
"""Principal components in which images are compared. 32 to 256 chose about as well; unscaled embeddings chose worse."""
CANDIDATES = 4000
"""Images that may be chosen: a random part of larger collections, so that time and memory are bounded."""
REFERENCES = 8000
"""Images that the chosen ones are to be near to, likewise. All similarities take 128 MB."""
FLOOR = 0.05
"""Added to the doubt, in [0, 1]: an image that the model is sure of counts a little, since the model may be wrong."""
NEAR = 0.95
"""Cosine from which on a second image tells nothing new: it comes after all others."""
NEIGHBOURS = 20
"""Labelled images that vote on a label."""
ROWS = 256
"""Rows of similarities that are made at a time."""
FIRST = 64
"""Candidates whose gain is computed again at a time."""
LAST = 2.0 * REFERENCES
"""More than any gain."""


def to_label(
    embeddings: NDArray[np.floating],
    labelled: NDArray[np.bool_],
    count: int,
    probabilities: Floats | None = None,
    seed: int = 0,
) -> Indices:
    """Indices of the images to label next, the most useful first: `count`, or as many as have no label.

    Classes of which there are few images can be missed in the first round. Once there are two labels per class or more,
    pass what the model makes of them: images of other classes are doubted, and come forward.

    Args:
        embeddings: (n, dim) of any scale, float16 too; at most 12,000 rows and the labelled ones are read.
        labelled: (n,), the images that have a label.
        probabilities: (n, classes), rows sum to 1; None as long as there is no model.
        seed: of the random parts of large collections.

    Raises:
        ValueError: an embedding or a probability is infinite or no number.
    """
    rng = np.random.default_rng(seed)
    free = np.flatnonzero(~labelled)
    count = min(count, len(free))
    if not count:
        return free[:0]
    candidates = _some(free, max(CANDIDATES, count), rng)
    references = _some(np.arange(len(embeddings)), REFERENCES, rng)
    space = _Space(embeddings[references])
    around, offered, known = (space.of(embeddings[part]) for part in (references, candidates, np.flatnonzero(labelled)))
    weights = np.ones(len(around), np.float32) if probabilities is None else _doubt(probabilities[references])
    if not np.isfinite(weights).all():
        raise ValueError("probabilities must be finite numbers")
    covered, like_known = _closest(around, known), _closest(offered, known)
    similar = offered @ around.T
    np.maximum(similar, 0, out=similar)
    return candidates[_greedy(similar, weights, covered, offered, like_known >= NEAR, count)]


def neighbour_votes(
    embeddings: NDArray[np.floating], labels: Indices, classes: int, neighbours: int = NEIGHBOURS
) -> Floats:
    """What each labelled image's nearest labelled others say: (n, classes) float32, rows sum to 1; 0 without a label.

    Args:
        embeddings: (n, dim) of any scale, float16 too.
        labels: (n,) class indices, or UNLABELLED.
    """
    known = np.flatnonzero(labels != UNLABELLED)
    votes = np.zeros((len(labels), classes), np.float32)
    neighbours = min(neighbours, len(known) - 1)
    if neighbours < 1:
        return votes
    vectors = _Space(embeddings[:: max(1, len(embeddings) // REFERENCES)]).of(embeddings[known])
    for start in range(0, len(known), ROWS):
        rows = np.arange(start, min(start + ROWS, len(known)))
        similar = vectors[rows] @ vectors.T
        similar[np.arange(len(rows)), rows] = -2  # no image votes on itself
        nearest = np.argpartition(similar, -neighbours, axis=1)[:, -neighbours:]
        weights = np.take_along_axis(similar, nearest, axis=1).clip(1e-6)
        np.add.at(votes, (known[rows][:, None], labels[known[nearest]]), weights / weights.sum(axis=1, keepdims=True))
    return votes


def doubtful(labels: Indices, probabilities: Floats) -> Indices:
    """Indices of the labelled images that are taken for another class, the most surely contradicted first.

    Args:
        labels: (n,) class indices, or UNLABELLED.
        probabilities: (n, classes), each row made without the image's own label: `neighbour_votes`, or out of fold.
    """
    known = np.flatnonzero(labels != UNLABELLED)
    rows = probabilities[known]
    against = rows.max(axis=1, initial=0) - rows[np.arange(len(known)), labels[known]]
    order = np.argsort(-against, kind="stable")[: np.count_nonzero(against > 0)]
    return np.asarray(known[order], np.int64)


class _Space:
    """Half-whitened principal components of some vectors: each over the root of its deviation, then unit norm.

    Without it the leading components dominate the cosine, with all of it the last ones' noise.
    """

    def __init__(self, vectors: NDArray[np.floating]) -> None:
        vectors = _finite(vectors)
        self._mean = vectors.mean(axis=0)
        centred = vectors - self._mean
        variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))  # ascending
        kept = variances[-DIMENSIONS:].clip(max(1e-6 * variances[-1], 1e-12))
        self._directions = directions[:, -DIMENSIONS:] / kept**0.25

    def of(self, vectors: NDArray[np.floating]) -> Floats:
        """(n, dim) → (n, DIMENSIONS or fewer) float32 of unit norm."""
        found = (_finite(vectors) - self._mean) @ self._directions
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True).clip(1e-12), np.float32)


def _finite(vectors: NDArray[np.floating]) -> Floats:
    if not np.isfinite(vectors).all():
        raise ValueError("embeddings must be finite numbers")
    return np.asarray(vectors, np.float32)


def _some(indices: Indices, count: int, rng: np.random.Generator) -> Indices:
    """All, or `count` of them at random, ascending."""
    return indices if len(indices) <= count else np.sort(rng.choice(indices, count, replace=False))


def _doubt(probabilities: Floats) -> Floats:
    """(n, classes) → (n,): 1 less the margin of the best class over the second, and FLOOR."""
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities), np.float32)
    second, best = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return np.asarray(1 + FLOOR - (best - second), np.float32)


def _closest(vectors: Floats, others: Floats) -> Floats:
    """Cosine of each vector's most similar other, (n,) and at least 0."""
    closest = np.zeros(len(vectors), np.float32)
    for start in range(0, len(others), ROWS):
        np.maximum(closest, (vectors @ others[start : start + ROWS].T).max(axis=1), out=closest)
    return closest


def _greedy(
    similar: Floats, weights: Floats, covered: Floats, offered: Floats, last: NDArray[np.bool_], count: int
) -> Indices:
    """Rows of `similar` in the order in which each raises the references' covers most.

    Gains only shrink (Minoux 1978): those of before are bounds, and only the highest are computed again.

    Args:
        similar: (candidates, references) in [0, 1].
        weights, covered: (references,), how much each counts, and its cosine to the nearest that has a label.
        offered: (candidates, DIMENSIONS), unit norm.
        last: (candidates,), those that come after all others.
    """
    covered, behind = covered.copy(), last * np.float32(LAST)
    bounds = _gains(similar, weights, covered)
    chosen: list[int] = []
    while len(chosen) < count:
        first = np.argsort(behind - bounds, kind="stable")[:FIRST]
        bounds[first] = np.minimum(bounds[first], _gains(similar[first], weights, covered))
        best = int(np.argmax(bounds - behind))
        if best in first:
            chosen.append(best)
            np.maximum(covered, similar[best], out=covered)
            near = offered @ offered[best] >= NEAR
            behind[near] = np.maximum(behind[near], LAST)
            behind[best] = np.inf
    return np.array(chosen, np.int64)


def _gains(similar: Floats, weights: Floats, covered: Floats) -> Floats:
    """(candidates, references) → (candidates,): by how much each would raise the weighted covers."""
    parts = [np.maximum(similar[start : start + ROWS] - covered, 0) @ weights for start in range(0, len(similar), ROWS)]
    return np.concatenate(parts)
