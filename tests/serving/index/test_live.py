"""Search against a slow one that sorts everything."""

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serving.index import live as module
from serving.index.items import Gone, Item
from serving.index.live import Known, LiveIndex
from serving.index.memory import Neighbor, NeighborIndex, Query
from tests.serving.index.given import DIM, MODEL, vector, vectors

LABELS = ["x", "y", "a label", None]


def bundle(count: int = 100) -> NeighborIndex:
    labels = [LABELS[number % 4] for number in range(count)]
    return NeighborIndex([f"b/{number}" for number in range(count)], vectors(count), labels, np.arange(count) % 3 == 0)


def item(own_id: str, seed: int = 0, **changed: Any) -> Item:
    fields: dict[str, Any] = {
        "label": None, "label_source": "person" if changed.get("label") else None, "source": "user", "metadata": "{}",
        "model": MODEL, "vector": vector(seed), "size": 1, "created": 0, "changed": 0, "sequence": 0,
    }  # fmt: skip
    return Item(id=own_id, **{**fields, **changed})


def overlay(own_id: str, label: str | None) -> Item:
    return item(own_id, label=label, source="bundle", model=None, vector=None)


class Oracle:
    """What should be found, by a full sort over everything that is known."""

    def __init__(self, base: NeighborIndex) -> None:
        self.base = {
            own_id: item(own_id, label=label, label_source=source, source="bundle", vector=row)
            for own_id, label, source, row in zip(base.ids, base.labels, base.sources, base.embeddings, strict=True)
        }
        self.items: dict[str, Item] = {}

    def apply(self, changes: Iterable[Item | Gone]) -> None:
        for one in changes:
            if isinstance(one, Item):
                self.items[one.id] = one
            else:
                self.items.pop(one.id, None)

    def shown(self) -> dict[str, Item]:
        shown = dict(self.base)
        for own_id, one in self.items.items():
            if one.model == MODEL:
                shown[own_id] = one
            elif own_id in shown:
                shown[own_id] = replace(one, vector=shown[own_id].vector)
        return shown

    def search(self, query: Query) -> list[Neighbor]:
        fits = [
            one for one in self.shown().values()
            if query.label in (None, one.label or "") and query.source in (None, one.source)
        ]  # fmt: skip
        scores = [0.0 if one.vector is None else float(one.vector @ query.embedding) for one in fits]
        return [
            {
                "id": fits[i].id, "label": fits[i].label, "label_source": fits[i].label_source,
                "source": fits[i].source, "score": scores[i],
            }
            for i in np.argsort(-np.array(scores), kind="stable")[: query.k]
        ]  # fmt: skip

    def check(self, live: LiveIndex, queries: list[Query]) -> None:
        """Whether `live` finds the same, by one batch; of equal scores, either may come first."""
        for query, found in zip(queries, live.search(queries), strict=True):
            expected = self.search(query)
            assert [one["score"] for one in found] == pytest.approx([one["score"] for one in expected], abs=1e-6)
            if len({round(one["score"], 5) for one in expected}) == len(expected):
                assert [{**one, "score": 0} for one in found] == [{**one, "score": 0} for one in expected]


def queries(seed: int = 7) -> list[Query]:
    rows = vectors(8, seed)
    filters: list[dict[str, Any]] = [
        {}, {"label": "x"}, {"label": ""}, {"label": "unknown"}, {"source": "user"}, {"source": "bundle"},
        {"label": "y", "source": "user"}, {"label": "y", "source": "bundle"},
    ]  # fmt: skip
    return [Query(row, 1 + 4 * number, **one) for number, (row, one) in enumerate(zip(rows, filters, strict=True))]


@pytest.mark.parametrize("count", [0, 1, 64, 100])
def test_without_items_the_bundle_is_found(count: int) -> None:
    base = bundle(count)
    live = LiveIndex(base, MODEL, DIM)
    Oracle(base).check(live, queries())
    everything = [Query(vector(3), 200), Query(vector(4), 1)]
    ids = [[one["id"] for one in found] for found in base.search(everything)]
    assert [[one["id"] for one in found] for found in live.search(everything)] == ids
    assert (len(live), live.missing) == (count, 0)


def test_changes_are_found() -> None:
    base = bundle()
    live, oracle = LiveIndex(base, MODEL, DIM), Oracle(base)
    steps: list[list[Item | Gone]] = [
        [item("a", 1, label="x"), item("b", 2)],
        [overlay("b/0", "y"), overlay("b/1", None), overlay("orphan", "x")],
        [item("b/2", 3, label="y"), item("a", 4)],  # a user's item with an id of the bundle's lies over it
        [item("b", 5, model="other@1"), item("b/3", 6, model="other@1", label="x"), item("c", 8, model="other@1")],
        [Gone("b/0", 0), Gone("b/2", 0), Gone("a", 0), Gone("never", 0), Gone("c", 0)],
        [item("b/2", 3), item("b/2", 4, model="other@1"), item("b", 5)],
        [Gone("b/2", 0), Gone("b/1", 0), Gone("b/3", 0), Gone("b", 0), Gone("orphan", 0)],
    ]
    for changes in steps:
        live.apply(changes)
        oracle.apply(changes)
        oracle.check(live, queries())
    assert not live.items
    np.testing.assert_array_equal(live.snapshot().vectors, base.embeddings)


def test_vectors_of_other_models_are_missing_and_not_found() -> None:
    live = LiveIndex(bundle(0), MODEL, DIM)
    short = np.ones(3, np.float32)
    live.apply([item("a"), item("b", model="new@1", vector=short), overlay("c", "x"), item("d", vector=short)])
    assert (len(live), live.missing) == (1, 2)
    live.apply([Gone("d", 0)])
    live.apply([item("b", 1)])
    assert (len(live), live.missing) == (2, 0)
    live.apply([item("a", model="new@1"), Gone("b", 0)])
    assert (len(live), live.missing) == (0, 1)
    assert live.search([Query(vector(), 3)]) == [[]]
    live.apply([Gone("a", 0)])
    assert live.missing == 0


def test_what_is_known_of_one_image() -> None:
    live = LiveIndex(bundle(4), MODEL, DIM)
    live.apply([overlay("b/1", "z"), item("b/2", 1), item("a", label="x")])
    assert live.known("b/0") == Known("b/0", "x", "given", "bundle", True)
    assert live.known("b/1") == Known("b/1", "z", "person", "bundle", True)
    assert live.known("b/2") == Known("b/2", None, None, "user", True)
    assert live.known("a") == Known("a", "x", "person", "user", False)
    assert live.known("c") is None
    live.forget(["b/1", "a"])
    assert live.known("b/1") == Known("b/1", "y", "predicted", "bundle", True)
    assert live.known("a") is None
    assert live.items == {"b/2"}


def test_a_snapshot_does_not_change() -> None:
    live = LiveIndex(bundle(2), MODEL, DIM)
    live.apply([item("a", 9, label="x")])
    before = live.snapshot()
    live.apply([overlay("b/0", "z"), Gone("a", 0)])
    assert before.ids == ["b/0", "b/1", "a"]
    assert before.labels == ["x", "y", "x"]
    assert before.label_sources == ["given", "predicted", "person"]
    np.testing.assert_array_equal(before.vectors, [*vectors(2), vector(9)])


def test_the_bundles_own_array_stays_as_it_is() -> None:
    base = bundle(3)
    live = LiveIndex(base, MODEL, DIM)
    live.apply([item("b/0", 5)])
    np.testing.assert_array_equal(base.embeddings, vectors(3))
    assert base.labels[0] == "x"


@pytest.mark.parametrize("seed", range(5))
def test_random_changes_against_the_oracle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = bundle(20)
    live, oracle = LiveIndex(base, MODEL, DIM), Oracle(base)
    ids = [*base.ids, *(f"u/{number}" for number in range(60))]
    for _ in range(40):
        changes: list[Item | Gone] = []
        for own_id in rng.choice(ids, rng.integers(1, 30)):
            label = LABELS[rng.integers(4)]
            kinds: list[Item | Gone] = [
                item(own_id, int(rng.integers(1 << 30)), label=label), overlay(own_id, label), Gone(own_id, 0),
                item(own_id, int(rng.integers(1 << 30)), label=label, model="other@1"),
            ]  # fmt: skip
            changes.append(kinds[rng.choice(4, p=[0.5, 0.15, 0.25, 0.1])])
        live.apply(changes)
        oracle.apply(changes)
        oracle.check(live, queries(int(rng.integers(1 << 30))))
        assert live.items == set(oracle.items)
        assert live.missing == sum(one.source == "user" and one.model != MODEL for one in oracle.items.values())
        assert len(live) == len(oracle.shown())


def test_a_search_sees_no_half_of_a_change() -> None:
    """Items swap places and change between two states, label and vector together, while searches go on."""
    live = LiveIndex(bundle(0), MODEL, DIM)
    east, west = (np.eye(DIM, dtype=np.float32)[0] * sign for sign in (1, -1))
    stop = threading.Event()
    failures: list[object] = []

    def search() -> None:
        while not stop.is_set():
            alike, all_of_them = live.search([Query(east, 50, label="east"), Query(east, 500)])
            failures.extend(one for one in alike if one["score"] != 1)
            failures.extend(one for one in all_of_them if one["score"] != (1 if one["label"] == "east" else -1))
            failures.extend([all_of_them] * (len({one["id"] for one in all_of_them}) != len(all_of_them)))

    thread = threading.Thread(target=search)
    thread.start()
    rng = np.random.default_rng(0)
    for _ in range(300):
        changes: list[Item | Gone] = []
        for number in rng.integers(0, 200, 50):
            state = rng.integers(3)
            told: dict[str, Any] = {"label": "east", "vector": east} if state else {"label": "west", "vector": west}
            changes.append(item(f"{number}", **told) if state < 2 else Gone(f"{number}", 0))
        live.apply(changes)
    stop.set()
    thread.join()
    assert not failures


def test_labels_that_no_image_has_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPARE_LABELS", 10)
    live, oracle = LiveIndex(bundle(), MODEL, DIM), Oracle(bundle())
    for number in range(500):
        changes = [item("u", label=f"label {number}"), overlay(f"b/{number % 100}", LABELS[number % 3])]
        live.apply(changes)
        oracle.apply(changes)
        assert len(live._code) <= 2 * 5 + 10 + 2
    for label in [*LABELS, "label 499", "label 498"]:
        oracle.check(live, [one._replace(label=label) for one in queries()])
