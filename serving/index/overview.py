"""The index seen as a whole: a map of it, and the labels that the images around them contradict. Knows no HTTP.

A map is computed once and kept: images that come later are placed among those that they are most like, until they are
so many that a new one is worth its second.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.selection import UNLABELLED, doubtful, neighbour_votes
from serving.index.items import Source
from serving.index.live import LiveIndex, Snapshot, Told
from serving.index.projection import layout, placed
from serving.index.threads import Threads

MAX_POINTS = 20_000
"""Images on a map, people's own first; of more than there is room for, some at random."""
MAX_COMPARED = 10_000
"""Labelled images, drawn at random, that are compared with each other."""
WAITING = 8
"""Requests that may be with the one thread, or wait for it."""
HUMAN = ("given", "person")
Key = tuple[str, int]
"""An image's id and a hash of its vector: another picture under an id has another place."""


class Map(NamedTuple):
    """n images and where they lie, in the index's order."""

    ids: list[str]
    places: NDArray[np.float32]
    """(n, 2), nearly all in [-1, 1]."""
    labels: list[str | None]
    label_sources: list[Told]
    users: NDArray[np.bool_]
    """(n,), whether it is a user's."""
    total: int
    """How many images the index has; n of them are shown."""


class Doubt(NamedTuple):
    """A label that a person knows of, and what the images around say."""

    id: str
    label: str
    label_source: Told
    source: Source
    suggested: str


class Overview:
    """What is made of the whole index, one request at a time on a thread of its own."""

    def __init__(self, live: LiveIndex) -> None:
        self._live = live
        self._threads = Threads("overview", 1, WAITING)
        self._places: dict[Key, NDArray[np.float32]] = {}
        self._fitted = 0  # images from which the map was computed

    async def map(self) -> Map:
        """The map as it is now; raises Overloaded or Draining."""
        return await self._threads.run(self._map)

    async def doubtful(self, count: int) -> list[Doubt]:
        """At most `count` labels, the most surely contradicted first; raises Overloaded or Draining."""
        return await self._threads.run(self._doubtful, count)

    def stop(self) -> None:
        """Waits for what is under way; blocks."""
        self._threads.stop()

    def _map(self) -> Map:
        found = self._live.snapshot()
        total, rows = len(found.ids), self._shown(found)
        vectors = found.vectors[rows]
        keys = [(found.ids[row], hash(vector.tobytes())) for row, vector in zip(rows.tolist(), vectors, strict=True)]
        places = self._placed(keys, vectors)
        self._places = dict(zip(keys, places, strict=True))
        each = rows.tolist()
        return Map(
            [found.ids[row] for row in each],
            places,
            [found.labels[row] for row in each],
            [found.label_sources[row] for row in each],
            found.users[rows],
            total,
        )

    def _shown(self, found: Snapshot) -> NDArray[np.int64]:
        """Rows of the images that are shown, ascending; those that were stay."""
        total = len(found.ids)
        if total <= MAX_POINTS:
            return np.arange(total)
        before = {own_id for own_id, _ in self._places}
        rank = np.random.default_rng(0).random(total)
        rank -= 2 * found.users + np.fromiter((own_id in before for own_id in found.ids), np.float64, total)
        return np.sort(np.argpartition(rank, MAX_POINTS)[:MAX_POINTS])

    def _placed(self, keys: list[Key], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 2): where these images lie; computes a new map where most of them have no place yet."""
        known = np.fromiter((key in self._places for key in keys), np.bool_, len(keys))
        if not known.any() or len(keys) > 2 * self._fitted:
            self._fitted = len(keys)
            return layout(vectors)
        places = np.zeros((len(keys), 2), np.float32)
        places[known] = [self._places[key] for key, one in zip(keys, known, strict=True) if one]
        if not known.all():
            places[~known] = placed(vectors[~known], vectors[known], places[known])
        return places

    def _doubtful(self, count: int) -> list[Doubt]:
        found = self._live.snapshot()
        rows = np.array([row for row, source in enumerate(found.label_sources) if source in HUMAN], np.int64)
        if len(rows) > MAX_COMPARED:
            rows = np.sort(np.random.default_rng(0).choice(rows, MAX_COMPARED, replace=False))
        told = [found.labels[row] or "" for row in rows.tolist()]
        names = sorted(set(told))
        numbers = {name: number for number, name in enumerate(names)}
        labels = np.array([numbers[label] for label in told], np.int64)
        assert UNLABELLED not in labels
        votes = neighbour_votes(found.vectors[rows], labels, len(names))
        chosen = doubtful(labels, votes)[:count].tolist() if len(rows) else []
        return [
            Doubt(
                found.ids[row := int(rows[one])],
                told[one],
                found.label_sources[row],
                "user" if found.users[row] else "bundle",
                names[int(votes[one].argmax())],
            )
            for one in chosen
        ]
