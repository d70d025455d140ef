"""Upload → prediction → neighbours, once for every caller. Knows nothing about HTTP.

`Service.ask` is the only way in for one image: it calls back. `answer` awaits the same.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.pictures.preparation import Found
from serving.batcher import DynamicBatcher, Results
from serving.decoder import Decoder
from serving.errors import Failure
from serving.index.collection import Collection, Shown
from serving.index.items import Source
from serving.index.memory import Neighbor, Query
from serving.model import Model, Prediction
from serving.waiting import Done, Started, result_of


class Wanted(NamedTuple):
    """Which similar images are asked for: see `Query`."""

    k: int = 0
    """0 for none."""
    label: str | None = None
    source: Source | None = None


NO_NEIGHBORS = Wanted()


class Answer(NamedTuple):
    """What is said of one image."""

    found: Found
    prediction: Prediction
    neighbors: list[Neighbor]
    """Most similar first; empty unless asked for."""
    queue_s: float
    """Seconds that the image waited for the model."""
    run_s: float
    """Seconds that the model took for the image's batch."""
    missing: int = 0
    """Items that were not searched, as another model made their vector."""


class Answers(NamedTuple):
    """What is said of several images, in order, and the seconds of all their batches."""

    each: list[Answer | Failure]
    queue_s: float
    run_s: float


@dataclass(eq=False, slots=True)
class Request:
    """One image on its way through decoder, model and, when neighbours are asked for, index."""

    service: "Service"
    wanted: Wanted
    done: Done[Answer]
    _found: Found = field(init=False)
    _step: Started | None = field(default=None, init=False)

    def cancel(self) -> None:
        """Drops the request wherever it is: nothing more is computed for it, and `done` is not called."""
        if self._step is not None:
            self._step.cancel()
            self._step = None

    def decode(self, content: bytes) -> None:
        """Goes on when the image is decoded, here or in another process."""
        found = self.service.decoder.decode_here(content)
        if found is None:
            task = asyncio.get_running_loop().create_task(self.service.decoder.decode(content))
            task.add_done_callback(self._on_decoded)
            self._step = task
        else:
            self._predict(found)

    def _on_decoded(self, task: "asyncio.Task[Found]") -> None:
        if task.cancelled():
            return
        try:
            self._predict(task.result())
        except Exception as error:  # a bug of the decoder's too: whatever it is, the caller is told
            self._fail(error)

    def _predict(self, found: Found) -> None:
        self._found = found
        self._step = self.service.batcher.add([found.pixels], self._on_predicted)

    def _on_predicted(self, results: Results[Prediction] | Exception) -> None:
        if isinstance(results, Exception):
            self._fail(results)
            return
        answer = Answer(self._found, results.values[0], [], results.queue_s, results.run_s)
        if self.wanted.k:
            self._search(answer)
        else:
            self._step = None
            self.done(answer)

    def _search(self, answer: Answer) -> None:
        query = Query(answer.prediction.embedding, *self.wanted)
        try:
            self._step = self.service.searcher.add([query], partial(self._on_searched, answer))
        except Exception as error:
            self._fail(error)

    def _on_searched(self, answer: Answer, results: Results[list[Neighbor]] | Exception) -> None:
        self._step = None
        if not isinstance(results, Exception):
            answer = answer._replace(neighbors=results.values[0], missing=self.service.index.live.missing)
        self.done(results if isinstance(results, Exception) else answer)

    def _fail(self, error: Exception) -> None:
        self._step = None
        self.done(error)


@dataclass(frozen=True)
class Service:
    """The running service: decoder, model and index, with their queues."""

    model: Model
    decoder: Decoder
    batcher: DynamicBatcher[NDArray[np.uint8], Prediction]
    searcher: DynamicBatcher[Query, list[Neighbor]]
    index: Collection

    async def start(self) -> None:
        """Begins to answer, once the index has been read."""
        await self.index.start()
        self.decoder.start()
        self.batcher.start()
        self.searcher.start()

    async def stop(self) -> None:
        """Answers what was accepted, takes nothing more."""
        await self.batcher.stop()
        await self.searcher.stop()
        await self.decoder.stop()
        await self.index.stop()

    def ask(self, content: bytes, wanted: Wanted, done: Done[Answer]) -> Request:
        """Asks what an image file shows, and for its neighbours.

        Raises a Failure that is known at once; others, and the answer, are given to `done` later.
        """
        request = Request(self, wanted, done)
        request.decode(content)
        return request

    async def answer(self, content: bytes, wanted: Wanted = NO_NEIGHBORS) -> Answer:
        """As `ask`. Raises Failure."""
        return await result_of(partial(self.ask, content, wanted))

    async def answer_many(self, contents: Sequence[bytes]) -> Answers:
        """What each image file shows, or what is wrong with it.

        One batch after the other, so that other requests get their turn in between. Raises a Failure that concerns
        them all.
        """
        each: list[Answer | Failure] = []
        queue_s, run_s, size = 0.0, 0.0, self.batcher.max_batch_size
        for first in range(0, len(contents), size):
            decoded = await self.decoder.decode_many(contents[first : first + size])
            found = [one for one in decoded if isinstance(one, Found)]
            results = await self.batcher.submit([one.pixels for one in found]) if found else Results([], 0.0, 0.0)
            queue_s, run_s = queue_s + results.queue_s, run_s + results.run_s
            predictions = iter(results.values)
            each += [
                Answer(one, next(predictions), [], results.queue_s, results.run_s) if isinstance(one, Found) else one
                for one in decoded
            ]
        return Answers(each, queue_s, run_s)

    async def search(self, embedding: NDArray[np.float32], wanted: Wanted) -> list[Neighbor]:
        """The images most similar to a unit vector (dim,), best first. Raises Failure."""
        return (await self.searcher.submit([Query(embedding, *wanted)])).values[0]

    async def keep(self, own_id: str, content: bytes, label: str | None, metadata: str) -> tuple[Shown, bool]:
        """Puts an image file into the index, in the place of the item of this id if there is one; see `Collection.put`.

        Raises Failure.
        """
        await self.index.check_free(own_id)
        answer = await self.answer(content)
        return await self.index.put(own_id, content, answer.found.pixels, answer.prediction.embedding, label, metadata)
