"""The map of an index, and labels that their neighbours contradict."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.index import overview
from serving.index.items import Item
from serving.index.live import LiveIndex
from serving.index.memory import NeighborIndex
from serving.index.overview import Map, Overview
from serving.index.projection import layout, placed

MODEL, DIM = "fake@000000000000", 8
Vectors = NDArray[np.float32]


def clusters(count: int, each: int, seed: int = 0) -> Vectors:
    """(count × each, DIM) of unit norm, around axes."""
    rng = np.random.default_rng(seed)
    vectors = np.repeat(np.eye(DIM)[:count], each, axis=0) + rng.normal(0, 0.08, (count * each, DIM))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def spread(places: Vectors) -> float:
    """Mean distance to the middle."""
    return float(np.hypot(*(places - places.mean(axis=0)).T).mean())


def test_what_is_alike_lies_together() -> None:
    places = layout(clusters(4, 60))
    parts = places.reshape(4, 60, 2)
    middles = parts.mean(axis=1)
    apart = min(np.hypot(*(middles[i] - middles[j])) for i in range(4) for j in range(i))
    assert max(map(spread, parts)) < apart / 3
    assert np.abs(places).max() < 1.5
    assert np.isfinite(places).all()


def test_the_same_vectors_give_the_same_map() -> None:
    vectors = clusters(3, 20)
    assert np.array_equal(layout(vectors), layout(vectors.copy()))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 13])
def test_a_map_of_few(count: int) -> None:
    places = layout(clusters(1, count) if count else np.zeros((0, DIM), np.float32))
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_a_map_of_equal_vectors() -> None:
    assert np.isfinite(layout(np.repeat(clusters(1, 1), 50, axis=0))).all()


def test_newcomers_are_placed_among_what_they_are_like() -> None:
    vectors = clusters(4, 60)
    places = layout(vectors)
    found = placed(clusters(4, 5, seed=1), vectors, places).reshape(4, 5, 2)
    for own, parts in zip(found, places.reshape(4, 60, 2), strict=True):
        assert np.hypot(*(own - parts.mean(axis=0)).T).max() < 3 * spread(parts)


def index_of(vectors: Vectors, labels: list[str | None]) -> LiveIndex:
    ids = [f"b{number}" for number in range(len(vectors))]
    return LiveIndex(NeighborIndex(ids, vectors, labels, np.ones(len(ids), np.bool_)), MODEL, DIM)


def item(own_id: str, vector: Vectors) -> Item:
    return Item(
        id=own_id, label=None, label_source=None, source="user", metadata="{}", model=MODEL, vector=vector,
        size=1, created=0.0, changed=0.0, sequence=1,
    )  # fmt: skip


@pytest.fixture
def live() -> LiveIndex:
    return index_of(clusters(3, 20), ["x"] * 60)


@pytest.fixture
def whole(live: LiveIndex) -> Iterator[Overview]:
    made = Overview(live)
    yield made
    made.stop()


def the_map(whole: Overview) -> Map:
    return asyncio.run(whole.map())


def test_a_map_is_kept_and_newcomers_move_nothing(whole: Overview, live: LiveIndex) -> None:
    first = the_map(whole)
    live.apply([item("mine", clusters(1, 1, seed=2)[0])])
    second = the_map(whole)
    assert second.ids == [*first.ids, "mine"]
    assert np.array_equal(second.places[:60], first.places)
    assert np.hypot(*(second.places[60] - first.places[:20].mean(axis=0))) < 4 * spread(first.places[:20])
    assert second.users.tolist() == [False] * 60 + [True]


def test_another_picture_under_an_id_has_another_place(whole: Overview, live: LiveIndex) -> None:
    the_map(whole)
    live.apply([item("mine", clusters(3, 1, seed=2)[0])])
    before = the_map(whole).places[60]
    live.apply([item("mine", clusters(3, 1, seed=2)[2])])
    assert np.hypot(*(the_map(whole).places[60] - before)) > 0.2


def test_many_newcomers_are_worth_a_new_map(whole: Overview, live: LiveIndex) -> None:
    first = the_map(whole)
    live.apply([item(f"u{number}", vector) for number, vector in enumerate(clusters(5, 20, seed=3))])
    assert not np.array_equal(the_map(whole).places[:60], first.places)


def test_of_too_many_the_users_and_those_shown_before_stay(
    whole: Overview, live: LiveIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "MAX_POINTS", 30)
    first = the_map(whole)
    live.apply([item("mine", clusters(1, 1, seed=2)[0])])
    second = the_map(whole)
    assert (len(first.ids), len(second.ids), second.total) == (30, 30, 61)
    assert "mine" in second.ids
    assert len(set(first.ids) & set(second.ids)) == 29


def test_an_empty_index_has_an_empty_map() -> None:
    empty = Overview(index_of(np.zeros((0, DIM), np.float32), []))
    assert the_map(empty).ids == []
    assert asyncio.run(empty.doubtful(5)) == []
    empty.stop()


def test_the_label_that_all_around_contradict_comes_first() -> None:
    labels: list[str | None] = [name for name in "xyz" for _ in range(20)]
    labels[5], labels[25] = "y", None
    whole = Overview(index_of(clusters(3, 20), labels))
    found = asyncio.run(whole.doubtful(3))
    assert (found[0].id, found[0].label, found[0].suggested) == ("b5", "y", "x")
    assert "b25" not in [one.id for one in found]
    whole.stop()
