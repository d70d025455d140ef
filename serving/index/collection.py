"""The index as the service uses it: the bundle's images, users' items over them, and the store that keeps those.

Everything that blocks happens on a few threads; what is asked here is awaited in the event loop. Knows no HTTP.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from heapq import merge
from itertools import islice
from typing import NamedTuple, ParamSpec, TypeVar

from models.pictures.png import Picture, as_png
from serving.errors import AnswerTimeout, Conflict, ServiceError, StoreFailure, UnknownItem
from serving.index.choice import HUMAN, choose
from serving.index.follower import Follower
from serving.index.group import Totals
from serving.index.items import Delete, Gone, Item, Label, Put, Source, Vector, Write
from serving.index.live import Known, LiveIndex, Told
from serving.index.overview import Overview
from serving.index.store import Store
from serving.index.threads import Threads
from serving.index.thumbnails import Thumbnails
from serving.index.writer import Writer

READERS, WAITING_READERS = 4, 64
"""Threads that ask the store, and how many requests may be with them or wait."""
WAITING_CHOICES = 4
"""Requests that may wait while images are chosen, one request at a time: it takes a second and 150 MB."""
WAITING_EXPORTS = 4
"""Requests that may wait while all vectors are copied or written, for one request at a time."""
PAGE = 500
"""Items that are read at once where all of them are."""
P = ParamSpec("P")
T = TypeVar("T")


class Shown(NamedTuple):
    """What is told of one image of the index."""

    id: str
    label: str | None
    label_source: Told
    source: Source
    metadata: str
    """A JSON object."""
    embedded_by: str | None
    """name@version of the model that made its vector; None where there is no vector."""
    searched: bool
    """Whether searches find it: its vector is the served model's."""
    size: int
    """Bytes that it counts; 0 for the bundle's own."""
    created: float | None
    """Seconds since 1970, UTC; None for the bundle's own."""
    changed: float | None


class Collection:
    """Images with their labels and vectors.

    Args:
        store: where users' items are; this object closes it.
        live: what is searched.
        thumbnails: of the bundle's own images.
        model: name@version of the served model.
        timeout_s: how long one request may wait for the store.
    """

    def __init__(self, store: Store, live: LiveIndex, thumbnails: Thumbnails, model: str, timeout_s: float) -> None:
        self.live = live
        self.overview = Overview(live)
        self._store, self._thumbnails, self._model, self._timeout_s = store, thumbnails, model, timeout_s
        self._follower = Follower(store, live)
        self._writer = Writer(store, self._follower.catch_up)
        self._readers = Threads("index", READERS, WAITING_READERS)
        self._chooser = Threads("choice", 1, WAITING_CHOICES)
        self._exporter = Threads("export", 1, WAITING_EXPORTS)

    async def start(self) -> None:
        """Reads all items, if the store can be read, and begins to follow and to write."""
        with suppress(Exception):  # the follower tries again, and says what is wrong
            await asyncio.to_thread(self._follower.catch_up)
        self._follower.start()
        self._writer.start()

    async def stop(self) -> None:
        """Takes nothing more, writes what was accepted, and closes the store."""
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        for part in (self._writer, self._follower, self._readers, self._chooser, self._exporter, self.overview):
            part.stop()
        self._store.close()

    async def check_free(self, own_id: str) -> None:
        """Raises Conflict where an id is that of one of the bundle's own images, or what `get` does."""
        known = await self._known(own_id)
        if known is not None and known.bundled and known.source == "bundle":
            raise Conflict(f"{own_id!r} is one of the bundle's own images: it can be labelled, and not replaced")

    async def put(
        self, own_id: str, image: bytes, seen: Picture, vector: Vector, label: str | None, metadata: str
    ) -> tuple[Shown, bool]:
        """Keeps an image, of which the model saw `seen`, and what it is now; also whether it is new.

        Raises MalformedRequest, Conflict, StoreFull, StoreFailure, Overloaded or Draining.
        """
        await self.check_free(own_id)
        new = partial(Put, id=own_id, image=image, vector=vector, model=self._model, label=label, metadata=metadata)
        item = await self._write(await self._ask(lambda: new(thumbnail=as_png(seen))))
        assert isinstance(item, Item)
        return self._shown(item, item.model == self._model), item.created == item.changed

    async def label(self, own_id: str, label: str | None) -> Shown:
        """Labels an image, as a person says; None takes its label away. Raises UnknownItem, and what `put` does."""
        known = await self._known(own_id)
        bundled = known is not None and known.bundled
        if not bundled:
            await self._item(own_id)
        item = await self._write(Label(id=own_id, label=label, bundled=bundled))
        assert isinstance(item, Item)
        return self._shown(item, bundled or item.model == self._model)

    async def delete(self, own_id: str) -> None:
        """Removes an item, or what lies over one of the bundle's images. Raises UnknownItem, and what `put` does."""
        try:
            await self._item(own_id)
            await self._write(Delete(own_id))
        except UnknownItem:
            known = await self._known(own_id)
            if known is not None and known.bundled:
                raise Conflict(f"{own_id!r} is one of the bundle's own images, and nothing lies over it") from None
            raise

    async def get(self, own_id: str) -> Shown:
        """What is told of one image; raises UnknownItem or StoreFailure."""
        return await self._ask(self._get, own_id)

    async def image(self, own_id: str) -> bytes:
        """The file as it was sent; raises UnknownItem or StoreFailure."""
        image = await self._ask(self._store.image, own_id)
        if image is None:
            raise UnknownItem(f"there is no image {own_id!r} that somebody sent")
        return image

    async def thumbnail(self, own_id: str) -> bytes:
        """A small PNG file of an image; raises UnknownItem or StoreFailure."""
        known = await self._known(own_id)
        own = known is not None and known.bundled and known.source == "bundle"
        found = await self._ask(self._thumbnails.png if own else self._store.thumbnail, own_id)
        if found is None:
            raise UnknownItem(f"there is no thumbnail of {own_id!r}")
        return found

    async def page(
        self, limit: int, after: str = "", label: str | None = None, source: Source | None = None
    ) -> list[Shown]:
        """At most `limit` images in the order of their ids, from behind `after`; of one label ("": none), one source.

        Those of the bundle are as this process knows them. Raises StoreFailure.
        """
        return await self._ask(self._page, limit, after, label, source)

    async def labelled(self, source: Source | None = None) -> AsyncIterator[list[tuple[str, str | None]]]:
        """Ids and labels of all images with a label that a person knows of, in the order of their ids, page by page."""
        after, more = "", True
        while more:
            page = await self.page(PAGE, after, None, source)
            more = len(page) == PAGE
            after = page[-1].id if page else ""
            found = [(one.id, one.label) for one in page if one.label_source in HUMAN]
            del page  # of megabytes, and a client may read slowly
            yield found

    async def choose(self, count: int) -> list[Known]:
        """At most `count` images to label next, the most useful first. Raises Overloaded or AnswerTimeout."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._chooser.run(choose, self.live, count)
        except TimeoutError:
            raise AnswerTimeout(f"no images were chosen within {self._timeout_s} s") from None

    async def export(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns, which copies all that is searched, or writes it; one request at a time.

        Raises Overloaded or Draining, and what `call` does.
        """
        return await self._exporter.run(call, *args, **kwargs)

    async def totals(self, timeout_s: float | None = None) -> Totals:
        """How much the store holds; raises StoreFailure."""
        return await self._ask(self._store.totals, timeout_s=timeout_s)

    async def _known(self, own_id: str) -> Known | None:
        """What is searched, asked on a thread: while a search goes on, it waits."""
        return await self._ask(self.live.known, own_id)

    async def _item(self, own_id: str) -> Item:
        """What the store has; raises UnknownItem before anything is written, and perhaps made for that."""
        item = (await self._ask(self._store.get, [own_id])).get(own_id)
        if item is None:
            raise UnknownItem(f"there is no item {own_id!r}")
        return item

    async def _ask(self, call: Callable[..., T], *arguments: object, timeout_s: float | None = None) -> T:
        timeout_s = timeout_s or self._timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await self._readers.run(call, *arguments)
        except TimeoutError:
            raise StoreFailure(f"the index's store did not answer within {timeout_s:g} s") from None

    async def _write(self, write: Write) -> Item | Gone:
        try:
            async with asyncio.timeout(self._timeout_s):
                (result,) = await asyncio.wrap_future(self._writer.add([write]))
        except TimeoutError:
            told = f"after {self._timeout_s:g} s it is not known whether this was written; try again"
            raise StoreFailure(told) from None
        if isinstance(result, ServiceError):
            raise result
        return result

    def _get(self, own_id: str) -> Shown:
        item, known = self._store.get([own_id]).get(own_id), self.live.known(own_id)
        if item is not None:
            return self._shown(item, known is not None)
        if known is None or known.source == "user":  # deleted elsewhere, a moment ago
            raise UnknownItem(f"there is no item {own_id!r}")
        return self._bundled(known)

    def _page(self, limit: int, after: str, label: str | None, source: Source | None) -> list[Shown]:
        items = {item.id: item for item in self._store.page(limit, after, label, source)}
        own = [] if source == "user" else self.live.bundled(limit, after, label)
        shown = (self._bundled(known) for known in own if known.id not in items)
        kept = (self._shown(item, self.live.known(item.id) is not None) for item in items.values())
        return list(islice(merge(kept, shown, key=lambda one: one.id), limit))

    def _shown(self, item: Item, searched: bool) -> Shown:
        embedded_by = self._model if item.model is None and searched else item.model
        return Shown(
            item.id, item.label, item.label_source, item.source, item.metadata, embedded_by, searched, item.size,
            item.created, item.changed,
        )  # fmt: skip

    def _bundled(self, known: Known) -> Shown:
        return Shown(known.id, known.label, known.label_source, "bundle", "{}", self._model, True, 0, None, None)
