"""Followers of both stores: whatever others write, in whatever order, what is searched comes to agree."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from serving.errors import StoreFailure
from serving.index import follower as module
from serving.index import sql
from serving.index.follower import Follower
from serving.index.group import Bounds
from serving.index.items import Delete, Item, Label, Write
from serving.index.live import LiveIndex
from serving.index.sqlite import SqliteStore
from serving.index.store import Changes, Store
from serving.index.writer import Writer
from tests.serving.index.conftest import Open
from tests.serving.index.given import DIM, MODEL, put
from tests.serving.index.test_live import Oracle, bundle, queries


def new_live() -> LiveIndex:
    return LiveIndex(bundle(20), MODEL, DIM)


def check(live: LiveIndex, store: Store) -> None:
    """Whether exactly what the store holds is searched."""
    oracle = Oracle(bundle(20))
    oracle.apply(store.page(100_000))
    oracle.check(live, queries())
    assert live.items == set(oracle.items)


def until(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def follow() -> Iterator[Callable[[Store], tuple[Follower, LiveIndex]]]:
    """Starts followers, and ends them."""
    started: list[Follower] = []

    def start(store: Store) -> tuple[Follower, LiveIndex]:
        live = new_live()
        started.append(Follower(store, live))
        started[-1].start()
        return started[-1], live

    yield start
    for one in started:
        one.stop()


def test_another_process_sees_a_write_within_a_second(
    store: Store, opened: Open, follow: Callable[[Store], tuple[Follower, LiveIndex]]
) -> None:
    follower, live = follow(opened())
    store.write([put("first")])  # the tables are made
    until(lambda: live.known("first") is not None)
    for number in range(5):
        store.write([put(f"{number}")])
        until(lambda number=number: live.known(f"{number}") is not None, 1)  # type: ignore[misc]
    store.write([Delete("0"), Label(id="b/0", label="new", bundled=True)])
    until(lambda: live.known("0") is None, 1)
    known = live.known("b/0")
    assert known
    assert known.label == "new"
    assert follower.current
    check(live, store)


def test_followers_miss_nothing_that_several_write_at_once(
    store: Store, opened: Open, monkeypatch: pytest.MonkeyPatch, follow: Callable[[Store], tuple[Follower, LiveIndex]]
) -> None:
    monkeypatch.setattr(module, "PAGE", 7)
    store.write([put("first")])
    follower, live = follow(opened())
    seen: list[Changes] = []
    done = threading.Event()

    def read(reader: Store) -> None:
        sequence, last = 0, False
        while True:
            changes = reader.changes_since(sequence, 5)
            if changes.each:
                seen.append(changes)
                sequence = changes.each[-1].sequence
            elif last:
                return
            last = done.is_set()

    def write(number: int, writing: Store) -> None:
        rng = np.random.default_rng(number)
        for _ in range(60):
            own_id = f"{rng.integers(30)}"
            kinds: list[Write] = [put(own_id, int(rng.integers(1 << 30))), Delete(own_id), Label(id=own_id, label="x")]
            writing.write([kinds[kind] for kind in rng.integers(3, size=rng.integers(1, 5))])

    reader = threading.Thread(target=read, args=[opened()])
    writers = [threading.Thread(target=write, args=[number, opened()]) for number in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    each = [one for changes in seen for one in changes.each]
    numbers = [one.sequence for one in each]
    assert numbers == sorted(set(numbers))
    told = {one.id: one for one in each}  # the last that was heard of each
    assert {own_id: one for own_id, one in told.items() if isinstance(one, Item)} == store.get(
        [f"{i}" for i in range(30)] + ["first"]
    )
    until(lambda: follower.sequence == store.totals().sequence)
    check(live, store)


@pytest.mark.parametrize("seed", range(3))
def test_random_writes_against_the_oracle(store: Store, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where tombstones are pruned so early that the follower must begin again."""
    for name in (sql, module):
        monkeypatch.setattr(name, "KEPT_CHANGES", 20)
    monkeypatch.setattr(module, "PAGE", 3)
    rng = np.random.default_rng(seed)
    live = new_live()
    follower = Follower(store, live)
    for _ in range(40):
        writes: list[Write] = []
        for own_id in rng.choice([f"b/{number}" for number in range(9)] + [f"u/{number}" for number in range(40)], 9):
            kinds: list[Write] = [
                put(own_id, int(rng.integers(1 << 30)), label="x"), put(own_id, model="old@1"), Delete(own_id),
                Label(id=own_id, label="y", bundled=own_id.startswith("b/")), Label(id=own_id, label=None),
            ]  # fmt: skip
            writes.append(kinds[rng.integers(5)])
        store.write(writes)
        if rng.random() < 0.4:
            follower.catch_up()
            check(live, store)
            held = store.page(1000)
            assert (store.totals().items, store.totals().bytes) == (len(held), sum(one.size for one in held))


def test_a_follower_whose_tombstones_are_gone_begins_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (sql, module):
        monkeypatch.setattr(name, "KEPT_CHANGES", 5)
    live = new_live()
    follower = Follower(store, live)
    store.write([put("a"), put("b"), Label(id="b/0", label="z", bundled=True)])
    follower.catch_up()
    store.write([Delete("a"), Delete("b/0"), *[put("c")] * 9])
    assert [one.id for one in store.changes_since(3, 99).each] == ["c"]
    follower.catch_up()
    assert live.items == {"b", "c"}
    check(live, store)


def test_a_follower_notices_an_older_store(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    live = new_live()
    with closing(SqliteStore(path, Bounds())) as store:
        follower = Follower(store, live)
        store.write([put("a"), put("b")])
        store.backup(tmp_path / "older")
        store.write([put("c"), Delete("a")])
        follower.catch_up()
        assert live.items == {"b", "c"}
        store.close()
        (tmp_path / "older").rename(path)
        follower.catch_up()
        assert live.items == {"a", "b"}
        check(live, store)


def test_a_follower_outlives_failures(
    store: Store, monkeypatch: pytest.MonkeyPatch, follow: Callable[[Store], tuple[Follower, LiveIndex]]
) -> None:
    follower, live = follow(store)
    store.write([put("a")])
    until(lambda: live.known("a") is not None)
    errors = [StoreFailure("away"), KeyError("a bug")]
    real = store.changes_since

    def fail(sequence: int, limit: int) -> Changes:
        if errors:
            raise errors.pop()
        return real(sequence, limit)

    monkeypatch.setattr(store, "changes_since", fail)
    until(lambda: not follower.current)
    store.write([put("b")])
    until(lambda: live.known("b") is not None)
    assert follower.current


def test_a_writers_own_changes_are_searched_when_they_are_answered(store: Store, opened: Open) -> None:
    live = new_live()
    writer = Writer(store, Follower(opened(), live).catch_up)
    writer.start()
    for number in range(20):
        writer.add([put(f"{number}", number)]).result()
        assert live.known(f"{number}") is not None
    writer.stop()
    check(live, store)


def test_a_follower_that_never_started_stops(store: Store) -> None:
    Follower(store, new_live()).stop()
