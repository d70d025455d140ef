"""What is searched: the bundle's images and users' items over them, in one array that grows. Knows no store.

`search` and `apply` may run on two threads at once: each holds the lock for one batch.
"""

import math
import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.index.items import Gone, Item, LabelSource, Source, Vector
from serving.index.memory import Neighbor, NeighborIndex, Query, best, scores_of

LEFT_OUT = -math.inf
"""Score of what a filter does not let through; `scores_of` gives it to padding."""
SPARE_LABELS = 1000
"""Labels that no image has any more, and are remembered for the time being, beyond as many as are in use."""
Told = LabelSource | Literal["predicted"] | None
"""Where a label is from."""


class Known(NamedTuple):
    """What is answered of one image that is searched."""

    id: str
    label: str | None
    label_source: Told
    source: Source
    bundled: bool
    """Whether it is one of the bundle's own, whatever lies over it."""


class Snapshot(NamedTuple):
    """All n images that are searched, at one moment: copies."""

    ids: list[str]
    vectors: NDArray[np.float32]
    """(n, dim)."""
    labels: list[str | None]
    label_sources: list[Told]
    users: NDArray[np.bool_]
    """(n,), whether it is a user's."""


class LiveIndex:
    """Exact search over the bundle's images and those items whose vector the same model made.

    An item with the id of one of the bundle's images lies over it: its label is answered, and if it has a vector of
    this model, that is searched. When it goes, the bundle's own come back.

    Args:
        bundle: rows 0 to its length.
        model: name@version of the one model whose vectors are searched, of `dim` numbers.
    """

    def __init__(self, bundle: NeighborIndex, model: str, dim: int) -> None:
        self._bundle_ids, self._bundle_labels, self._bundle_sources = bundle.ids, bundle.labels, bundle.sources
        self._order = np.array(sorted(range(len(bundle)), key=bundle.ids.__getitem__), np.int64)  # rows by their ids
        self._covered: dict[int, Vector] = {}  # row → the bundle's own vector, where an item's lies over it
        self._model, self._dim = model, dim
        self._ids, self._labels = list(bundle.ids), list(bundle.labels)
        self._label_sources: list[Told] = list(bundle.sources)
        self._row = {own_id: row for row, own_id in enumerate(self._ids)}
        self._code: dict[str | None, int] = {None: 0}  # label → its number in `_codes`
        self._vectors = bundle.embeddings.reshape(-1, dim)  # (capacity, dim), copied before anything is written
        self._codes = np.array([self._code.setdefault(label, len(self._code)) for label in self._labels], np.int32)
        self._most_codes = 2 * len(self._code) + SPARE_LABELS
        self._sources: list[Source] = ["bundle"] * len(self._ids)
        self._users = np.zeros(len(self._ids), np.bool_)  # (capacity,), whether the source is "user"
        self._items, self._missing = set[str](), set[str]()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many images are searched."""
        return len(self._ids)

    @property
    def missing(self) -> int:
        """How many items are not searched, as another model made their vector."""
        return len(self._missing)

    @property
    def items(self) -> frozenset[str]:
        """Ids of all items that were applied and are not gone."""
        return frozenset(self._items)

    def known(self, own_id: str) -> Known | None:
        """What is answered of an image; None where it is not searched."""
        with self._lock:
            row = self._row.get(own_id)
            return None if row is None else self._known(row)

    def bundled(self, limit: int, after: str = "", label: str | None = None) -> list[Known]:
        """At most `limit` of the bundle's own images over which no user's lies, in the order of a store's `page`."""
        rows = self._order[bisect_right(self._order, after, key=self._bundle_ids.__getitem__) :]
        with self._lock:
            rows = rows[~self._users[rows]]
            if label is not None:
                rows = rows[self._codes[rows] == self._code.get(label or None, -1)]
            return [self._known(row) for row in rows[:limit].tolist()]

    def snapshot(self) -> Snapshot:
        """All that is searched."""
        with self._lock:
            vectors = self._vectors[: len(self._ids)].copy()
            users = self._users[: len(self._ids)].copy()
            return Snapshot(self._ids.copy(), vectors, self._labels.copy(), self._label_sources.copy(), users)

    def search(self, queries: Sequence[Query]) -> list[list[Neighbor]]:
        """The `k` most similar images of each query (all, when there are fewer), best first; all queries at once."""
        embeddings = np.stack([query.embedding for query in queries])
        with self._lock:
            size = len(self._ids)
            if not size:
                return [[] for _ in queries]
            scores = scores_of(embeddings, self._vectors[:size])
            for row, query in zip(scores, queries, strict=True):
                if query.label is not None or query.source is not None:
                    self._leave_out(row[:size], query)
            values, rows = best(scores, min(size, max(query.k for query in queries)))
            return [
                self._neighbors(found[: query.k], value)
                for query, found, value in zip(queries, rows.tolist(), values.tolist(), strict=True)
            ]

    def apply(self, changes: Sequence[Item | Gone]) -> None:
        """Takes over changes in their order; for one thread at a time."""
        self._reserve(len(self._ids) + len(changes))
        with self._lock:
            for change in changes:
                if isinstance(change, Item):
                    self._keep(change)
                else:
                    self._remove(change.id)
            if len(self._code) > self._most_codes:
                self._renumber()

    def forget(self, ids: Iterable[str]) -> None:
        """As if these items were gone; for one thread at a time."""
        with self._lock:
            for own_id in ids:
                self._remove(own_id)

    def _leave_out(self, scores: NDArray[np.float32], query: Query) -> None:
        """Makes LEFT_OUT of the scores, (n,), of images that a query's filters do not let through."""
        size = len(scores)
        if query.label is not None:
            scores[self._codes[:size] != self._code.get(query.label or None, -1)] = LEFT_OUT
        if query.source is not None:
            scores[self._users[:size] != (query.source == "user")] = LEFT_OUT

    def _neighbors(self, rows: list[int], scores: list[float]) -> list[Neighbor]:
        """Those of the rows that no filter has left out."""
        ids, labels, label_sources, sources = self._ids, self._labels, self._label_sources, self._sources
        return [
            {
                "id": ids[row],
                "label": labels[row],
                "label_source": label_sources[row],
                "source": sources[row],
                "score": score,
            }
            for row, score in zip(rows, scores, strict=False)
            if score != LEFT_OUT
        ]

    def _known(self, row: int) -> Known:
        bundled = row < len(self._bundle_labels)
        return Known(self._ids[row], self._labels[row], self._label_sources[row], self._sources[row], bundled)

    def _reserve(self, size: int) -> None:
        """Makes room for `size` rows; the first time also to leave the bundle's own array as it is.

        Copied without the lock: nobody else writes, and searches go on.
        """
        if size > len(self._codes):
            count, capacity = len(self._ids), max(2 * len(self._codes), size)
            vectors = np.empty((capacity, self._dim), np.float32)
            codes, users = np.empty(capacity, np.int32), np.empty(capacity, np.bool_)
            vectors[:count], codes[:count] = self._vectors[:count], self._codes[:count]
            users[:count] = self._users[:count]
            with self._lock:
                self._vectors, self._codes, self._users = vectors, codes, users

    def _renumber(self) -> None:
        """Forgets the labels that no image has."""
        codes = self._codes[: len(self._ids)]
        used = np.bincount(np.append(codes, 0), minlength=len(self._code)) > 0  # None is always
        numbers = np.cumsum(used) - 1
        codes[:] = numbers[codes]
        self._code = {label: int(numbers[code]) for label, code in self._code.items() if used[code]}
        self._most_codes = 2 * len(self._code) + SPARE_LABELS

    def _keep(self, item: Item) -> None:
        self._items.add(item.id)
        row = self._row.get(item.id)
        vector = item.vector if item.model == self._model else None
        if vector is not None and vector.shape != (self._dim,):  # a store that another program has written to
            vector = None
        if item.source == "user" and vector is None:
            self._missing.add(item.id)
        else:
            self._missing.discard(item.id)
        if vector is None and (row is None or row >= len(self._bundle_labels)):
            if row is not None:
                self._drop(row)
            return
        if row is None:
            row = self._append(item.id)
        self._show(row, vector)
        self._tell(row, item.label, item.label_source, item.source == "user")

    def _remove(self, own_id: str) -> None:
        self._items.discard(own_id)
        self._missing.discard(own_id)
        row = self._row.get(own_id)
        if row is None:
            return
        if row < len(self._bundle_labels):
            self._show(row, None)
            self._tell(row, self._bundle_labels[row], self._bundle_sources[row], False)
        else:
            self._drop(row)

    def _append(self, own_id: str) -> int:
        self._row[own_id] = row = len(self._ids)
        self._ids.append(own_id)
        self._labels.append(None)
        self._label_sources.append(None)
        self._sources.append("user")
        return row

    def _drop(self, row: int) -> None:
        """Takes a row out; the last one comes into its place, so that there are no holes."""
        last = len(self._ids) - 1
        self._row[self._ids[last]] = row
        del self._row[self._ids[row]]
        self._ids[row], self._labels[row] = self._ids[last], self._labels[last]
        self._label_sources[row] = self._label_sources[last]
        self._sources[row], self._users[row] = self._sources[last], self._users[last]
        self._vectors[row], self._codes[row] = self._vectors[last], self._codes[last]
        del self._ids[last], self._labels[last], self._label_sources[last], self._sources[last]

    def _show(self, row: int, vector: Vector | None) -> None:
        """Searches `vector` in this row; None brings back what the bundle has there, if it was covered."""
        if vector is None:
            vector = self._covered.pop(row, None)
        elif row < len(self._bundle_labels) and row not in self._covered:
            self._covered[row] = self._vectors[row].copy()
        if vector is not None:
            self._vectors[row] = vector

    def _tell(self, row: int, label: str | None, label_source: Told, user: bool) -> None:
        self._labels[row], self._label_sources[row] = label, label_source
        self._sources[row], self._users[row] = "user" if user else "bundle", user
        self._codes[row] = self._code.setdefault(label, len(self._code))
