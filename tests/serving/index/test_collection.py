"""The index as the service uses it, on a real store that can be held: who waits, who leaves, what is still written."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from models.pictures.png import Picture
from serving.errors import Conflict, Draining, Overloaded, StoreFailure, UnknownItem
from serving.index.choice import MAX_LABELLED
from serving.index.collection import Collection
from serving.index.live import LiveIndex
from serving.index.memory import NeighborIndex
from serving.index.threads import Threads
from serving.index.thumbnails import Thumbnails
from tests.serving.index.fakes import HeldStore
from tests.serving.index.given import DIM, MODEL, vector, vectors

SEEN: Picture = np.zeros((4, 4), np.uint8)


def collection_of(store: HeldStore, bundle: NeighborIndex | None = None, timeout_s: float = 5) -> Collection:
    if bundle is None:
        bundle = NeighborIndex(["own"], vectors(1, 9), ["x"], np.ones(1, np.bool_))
    return Collection(store, LiveIndex(bundle, MODEL, DIM), Thumbnails(None, None, bundle.ids), MODEL, timeout_s)


@asynccontextmanager
async def running(store: HeldStore, timeout_s: float = 5) -> AsyncIterator[Collection]:
    collection = collection_of(store, timeout_s=timeout_s)
    await collection.start()
    try:
        yield collection
    finally:
        store.free.set()
        await collection.stop()


async def put(collection: Collection, own_id: str) -> bool:
    return (await collection.put(own_id, b"image", SEEN, vector(), "x", "{}"))[1]


@pytest.fixture
def store(tmp_path: Path) -> HeldStore:
    return HeldStore(tmp_path / "index.sqlite")


def test_who_leaves_while_a_write_waits_has_written_nothing(store: HeldStore) -> None:
    async def run() -> None:
        async with running(store) as collection:
            assert await put(collection, "first")
            store.free.clear()
            store.entered.clear()
            begun = asyncio.create_task(put(collection, "begun"))
            await asyncio.to_thread(store.entered.wait)
            waiting = asyncio.create_task(put(collection, "waiting"))
            while store.groups != [1, 1] or not collection.live:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            waiting.cancel()
            begun.cancel()
            await asyncio.gather(waiting, begun, return_exceptions=True)
            store.free.set()
            assert await put(collection, "last")
            assert [one.id for one in await collection.page(10)] == ["begun", "first", "last", "own"]

    asyncio.run(run())


def test_a_store_that_hangs_is_waited_for_so_long_and_no_longer(store: HeldStore) -> None:
    async def run() -> None:
        async with running(store, timeout_s=0.3) as collection:
            store.free.clear()
            with pytest.raises(StoreFailure, match="not known whether"):
                await put(collection, "slow")
            assert [one.id for one in await collection.page(10)] == ["own"]
            store.free.set()
            while len(await collection.page(10)) < 2:
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_what_is_accepted_is_written_before_the_end(store: HeldStore) -> None:
    async def run() -> list[bool]:
        collection = collection_of(store)
        await collection.start()
        store.free.clear()
        writes = [asyncio.create_task(put(collection, f"{number}")) for number in range(20)]
        await asyncio.sleep(0.2)
        end = asyncio.create_task(collection.stop())
        await asyncio.sleep(0.05)
        with pytest.raises(Draining):
            await put(collection, "late")
        store.free.set()
        await end
        return await asyncio.gather(*writes)

    assert asyncio.run(run()) == [True] * 20
    assert store.totals().items == 20
    store.close()


def test_the_bundles_own_and_unknown_ids(store: HeldStore) -> None:
    async def run() -> None:
        async with running(store) as collection:
            with pytest.raises(Conflict, match="not replaced"):
                await put(collection, "own")
            with pytest.raises(Conflict, match="nothing lies over it"):
                await collection.delete("own")
            for call in (collection.delete("a"), collection.label("a", "x"), collection.get("a"), collection.image("a"),
                         collection.thumbnail("a"), collection.image("own"), collection.thumbnail("own")):  # fmt: skip
                with pytest.raises(UnknownItem):
                    await call
            assert store.groups == []

    asyncio.run(run())


def test_an_item_over_one_of_the_bundles_images_is_a_users(store: HeldStore) -> None:
    """So it is after a training on items that were exported: the bundle's ids are those of items then."""

    async def run() -> None:
        before = collection_of(store, NeighborIndex([], np.zeros((0, DIM)), [], np.zeros(0, np.bool_)))
        await before.start()
        await put(before, "own")
        await before.stop()
        async with running(store) as collection:
            assert (await collection.get("own")).source == "user"
            assert await collection.image("own") == b"image"
            assert [one.source for one in await collection.page(10)] == ["user"]
            assert not await put(collection, "own")
            await collection.delete("own")
            assert (await collection.get("own")).source == "bundle"

    asyncio.run(run())


def test_choices_look_at_a_bounded_number_of_labelled_images(store: HeldStore) -> None:
    count = MAX_LABELLED + 500
    bundle = NeighborIndex(
        [str(number) for number in range(count)], vectors(count), ["x"] * count, np.arange(count) >= 3
    )

    async def run() -> list[str]:
        collection = collection_of(store, bundle, timeout_s=60)
        await collection.start()
        chosen = await collection.choose(10)
        await collection.stop()
        return [one.id for one in chosen]

    assert sorted(asyncio.run(run())) == ["0", "1", "2"]


def test_threads_are_bounded_and_what_waits_can_be_cancelled() -> None:
    async def run() -> None:
        threads, free = Threads("test", 1, 3), threading.Event()
        ran: list[int] = []
        first = asyncio.create_task(threads.run(free.wait, 10))
        second = asyncio.create_task(threads.run(ran.append, 2))
        third = asyncio.create_task(threads.run(ran.append, 3))
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded):
            await threads.run(ran.append, 4)
        second.cancel()
        await asyncio.sleep(0.05)
        fourth = asyncio.create_task(threads.run(ran.append, 4))
        await asyncio.sleep(0.05)
        free.set()
        await asyncio.gather(first, third, fourth)
        assert ran == [3, 4]
        await asyncio.to_thread(threads.stop)
        with pytest.raises(Draining):
            await threads.run(ran.append, 5)

    asyncio.run(run())
