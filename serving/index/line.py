"""A line of four stages on which groups of pictures come into the store: read, decode, embed, write.

While one group is written, the next ones are embedded, decoded and read. Knows no HTTP.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from models.pictures.errors import PictureError
from models.pictures.png import Picture
from models.pictures.preparation import Found, as_input
from serving.decoder import Decoder
from serving.errors import AnswerTimeout
from serving.index.items import Item, Result, Vector, Write
from serving.index.store import MAX_GROUP, Store
from serving.index.writer import MAX_GROUP_BYTES
from serving.model import Model

STAGES = 4
"""Of the line, and so groups that are on it at once."""


class Sized(Protocol):
    """A file, or an item."""

    @property
    def size(self) -> int:
        """Bytes."""


S = TypeVar("S", bound=Sized)
T = TypeVar("T")


class Picked(NamedTuple):
    """One file on the line."""

    id: str
    content: bytes
    label: str | None = None
    old: Item | None = None
    """What the store has of this id."""


@dataclass
class Tally:
    """What became of all files.

    Args:
        on_step: called with a number of files that are done.
        on_bad: called with the id of a file and why nothing came of it.
    """

    on_step: Callable[[int], object] = lambda _: None
    on_bad: Callable[[str, str], object] = lambda *_: None
    counts: dict[str, int] = field(default_factory=dict)
    """Outcome → files."""
    bad_ids: set[str] = field(default_factory=set)

    def done(self, outcome: str, number: int = 1) -> None:
        """So many files have ended in this way."""
        if number:
            self.counts[outcome] = self.counts.get(outcome, 0) + number
            self.on_step(number)

    def bad(self, own_id: str, reason: str) -> None:
        """Nothing came of a file."""
        self.bad_ids.add(own_id)
        self.on_bad(own_id, reason)
        self.done("bad")


class Line:
    """Decoder, model and store, each for one group at a time.

    Args:
        decoder: started, and of nobody else.
        processes: that it has.
        max_batch_size: pictures that the model takes at once.
    """

    def __init__(self, store: Store, model: Model, decoder: Decoder, processes: int, max_batch_size: int) -> None:
        self.store, self.model = store, model
        self._decoder, self._max_batch_size = decoder, max_batch_size
        self._free = asyncio.Semaphore(processes)  # a file must not become late behind a slow one
        self._stages = [asyncio.Lock() for _ in range(STAGES)]  # taken in turn: groups keep their order

    async def run(
        self, read: Callable[[], list[Picked]], write: Callable[[Picked, Picture, Vector], Write], tally: Tally
    ) -> list[tuple[Picked, Result]]:
        """One group: what became of each file that was decoded; the others are bad. Raises ServiceError.

        Args:
            read: takes the files; on a thread.
            write: what is to be written of a file, by its pixels as the model saw them and their vector; on a thread.
        """
        reading, decoding, embedding, writing = self._stages
        async with reading:
            picked = await asyncio.to_thread(read)
        async with decoding:
            found = await self._decoded(picked, tally)
        async with embedding:
            writes = await asyncio.to_thread(self._made, found, write)
        async with writing:
            results = await asyncio.to_thread(self.store.write, writes) if writes else []
        return [(one, result) for (one, _), result in zip(found, results, strict=True)]

    async def _decoded(self, picked: Sequence[Picked], tally: Tally) -> list[tuple[Picked, Picture]]:
        here = [self._decoder.decode_here(one.content) for one in picked]
        others = [self._decode(one.content) for one, found in zip(picked, here, strict=True) if found is None]
        rest = iter(await asyncio.gather(*others))
        found = []
        for one, outcome in zip(picked, (clean or next(rest) for clean in here), strict=True):
            if isinstance(outcome, Found):
                found.append((one, outcome.pixels))
            else:
                tally.bad(one.id, str(outcome))
        return found

    async def _decode(self, content: bytes) -> Found | PictureError | AnswerTimeout:
        async with self._free:
            try:
                return await self._decoder.decode(content)
            except (PictureError, AnswerTimeout) as error:
                return error

    def _made(
        self, found: Sequence[tuple[Picked, Picture]], write: Callable[[Picked, Picture, Vector], Write]
    ) -> list[Write]:
        writes: list[Write] = []
        for first in range(0, len(found), self._max_batch_size):
            batch = found[first : first + self._max_batch_size]
            answers = self.model.run_batch(as_input([pixels for _, pixels in batch]))
            vectors = (np.array(answer.embedding) for answer in answers)
            writes += [write(one, pixels, vector) for (one, pixels), vector in zip(batch, vectors, strict=True)]
        return writes


def groups(items: Iterable[S]) -> Iterator[list[S]]:
    """At most MAX_GROUP at a time, and MAX_GROUP_BYTES unless a single one is larger."""
    group, size = list[S](), 0
    for item in items:
        if group and (len(group) == MAX_GROUP or size + item.size > MAX_GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(item)
        size += item.size
    if group:
        yield group


async def in_turn(jobs: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Results of all jobs, STAGES of which run at once; none goes on after one has failed."""
    running, results = deque[asyncio.Task[T]](), list[T]()
    try:
        for job in jobs:
            running.append(asyncio.create_task(job))
            if len(running) == STAGES:
                results.append(await running.popleft())
        while running:
            results.append(await running.popleft())
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return results
