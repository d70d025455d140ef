"""Pictures that are there twice: equal pixel by pixel, or the same to the eye.

Two pictures look the same where their thumbnails (24 × 24, gray), without what all pictures of the collection have in
common, correlate by `SURE`; or by `LIKELY`, if no crowd of others is nearly as close: of a class whose members all look
alike, such as a handwritten 1, the nearest two are no copies. The values were chosen by looking at pairs. By this rule
395 of CIFAR-10's 60,000 pictures have a copy (58 of 60 pairs drawn are one picture, cut or coloured otherwise), and
1.6 % of MNIST's 60,000, nearly all of them ones; by `LIKELY` alone it would be 6.8 %. Mirrored pictures are not looked
for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from models.manifest import InputSpec
from training.data.info import FileInfo

THUMBNAIL = InputSpec("stretch", 24, 24, 1)
SURE, LIKELY = 0.99, 0.97
CROWD, STANDS_OUT = 10, 0.5
"""A likely copy is no more than half as far away (1 − correlation) as the tenth nearest picture."""
FLAT = 2.0
"""Standard deviation of a thumbnail, in gray levels, below which there is nothing to compare."""
PRIOR = 50
"""Pictures that must be there before half of their mean counts as what all have in common."""
COMPONENTS = 64
"""Principal components in which most pairs are ruled out: distances in them are no longer than in all."""
MOST = 100_000
"""How many pictures are compared, drawn at random where there are more; 60,000 take 6 to 13 s on two cores."""
BLOCK, PAIRS = 512, 10_000
"""Pictures, and pairs, whose products are in memory at a time."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Copies:
    """Pictures that are one to the eye."""

    members: tuple[int, ...]
    """Places among the good files."""
    equal: bool
    """Whether all are equal pixel by pixel."""


def copies(infos: Sequence[FileInfo], thumbnails: NDArray[np.uint8]) -> list[Copies]:
    """Groups of copies among the good files; `thumbnails` (n, 24, 24) are theirs in the same order."""
    _, first, equals = np.unique([info.pixels for info in infos], return_index=True, return_inverse=True)
    pairs = [(int(first[group]), place) for place, group in enumerate(equals) if first[group] != place]
    alike = similar_pairs(thumbnails[first])
    pairs += [(int(first[left]), int(first[right])) for left, right in alike]
    if not pairs:
        return []
    left, right = np.array(pairs).T
    graph = coo_array((np.ones(len(pairs)), (left, right)), shape=(len(infos), len(infos)))
    _, groups = connected_components(graph, directed=False)
    members: dict[int, list[int]] = {}
    for place in np.flatnonzero(np.isin(groups, groups[left])).tolist():
        members.setdefault(groups[place], []).append(place)
    return [Copies(tuple(places), len({infos[place].pixels for place in places}) == 1) for places in members.values()]


def flat(thumbnails: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n,): which pictures are of almost one shade."""
    spread = [block.std(axis=(1, 2)) for block in np.array_split(thumbnails, len(thumbnails) // PAIRS + 1)]
    return np.asarray(np.concatenate(spread) < FLAT)


def similar_pairs(thumbnails: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Pairs of places among (n, height, width) whose pictures are the same to the eye, the smaller one first."""
    compared = np.flatnonzero(~flat(thumbnails))
    if len(compared) > MOST:
        compared = np.sort(np.random.default_rng(0).choice(compared, MOST, replace=False))
    if len(compared) < 2:
        return []
    units = _units(thumbnails[compared])
    pairs, similar = _likely(units)
    doubtful = similar < SURE
    if doubtful.any():
        places, pair_of = np.unique(pairs[doubtful], return_inverse=True)
        crowd = _crowds(units, places)[pair_of].reshape(-1, 2).max(axis=1)
        doubtful[doubtful] = 1 - similar[doubtful] > STANDS_OUT * (1 - crowd)
    return [(int(left), int(right)) for left, right in compared[pairs[~doubtful]]]


def _units(thumbnails: NDArray[np.uint8]) -> Floats:
    """(n, pixels) without what all have in common, of mean 0 and length 1."""
    pixels = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    pixels -= pixels.mean(axis=0) * (len(pixels) / (len(pixels) + PRIOR))
    pixels -= pixels.mean(axis=1, keepdims=True)
    pixels /= np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-6)
    return pixels


def _likely(units: Floats) -> tuple[NDArray[np.int64], Floats]:
    """(pairs, 2) of places, and their correlations, which are at least `LIKELY`."""
    found, correlations = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    for block in _candidates(units):
        for pairs in np.array_split(block, len(block) // PAIRS + 1):
            similar = np.einsum("ij,ij->i", units[pairs[:, 0]], units[pairs[:, 1]])
            found.append(pairs[similar >= LIKELY])
            correlations.append(similar[similar >= LIKELY])
    return np.concatenate(found), np.concatenate(correlations)


def _candidates(units: Floats) -> Iterator[NDArray[np.int64]]:
    """(pairs, 2) that are not ruled out by their distance in a few principal components."""
    _, axes = np.linalg.eigh(units.T @ units)
    parts = units @ axes[:, : -COMPONENTS - 1 : -1]  # (n, components)
    order = np.argsort(parts[:, 0])
    parts = parts[order]
    half, one = (parts**2).sum(axis=1, keepdims=True) / 2, np.ones((len(parts), 1), np.float32)
    left, right = np.hstack([parts, -half, one]), np.hstack([parts, one, -half])  # their product: −distance² / 2
    ends = np.searchsorted(parts[:, 0], parts[:, 0] + np.sqrt(2 * (1 - LIKELY)), "right")
    for first in range(0, len(parts), BLOCK):
        rest = right[first : ends[first : first + BLOCK][-1]]
        near = left[first : first + BLOCK] @ rest.T >= LIKELY - 1
        rows, columns = np.divmod(np.flatnonzero(near), near.shape[1])
        kept = rows < columns
        yield np.sort(np.stack([order[rows[kept] + first], order[columns[kept] + first]], axis=1), axis=1)


def _crowds(units: Floats, places: NDArray[np.int64]) -> Floats:
    """(places,): correlation with the tenth nearest other picture, or −1 where there are fewer."""
    if len(units) <= CROWD:
        return np.full(len(places), -1, np.float32)
    blocks = (units[places[first : first + BLOCK]] @ units.T for first in range(0, len(places), BLOCK))
    return np.concatenate([np.partition(similar, -CROWD - 1, axis=1)[:, -CROWD - 1] for similar in blocks])
