"""Dynamic batching: while the model answers one batch, the next one gathers. Knows neither ONNX nor HTTP.

A batch forms at the moment the model is free, from whatever waits then: nothing ever waits for a timer. Items whose
caller was cancelled or timed out in the meantime are dropped.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

from serving.errors import AnswerTimeout, Draining, ModelFailure, Overloaded

I = TypeVar("I")
O = TypeVar("O")


@dataclass(frozen=True)
class Answer(Generic[O]):
    """One item's result, with where its time went."""

    value: O
    queue_s: float
    """Seconds from submission until its batch formed."""
    run_s: float
    """Seconds that its batch took."""


@dataclass
class _Waiting(Generic[I, O]):
    item: I
    answer: asyncio.Future[Answer[O]]
    since: float


class DynamicBatcher(Generic[I, O]):
    """Gathers single items into batches for one `run` at a time, which happens on a thread of its own.

    Args:
        run: n items → n results, in order; blocking. What it raises reaches every caller of its batch.
        on_batch: told each batch's size and seconds, and how many items wait, after it ran.
    """

    def __init__(
        self,
        run: Callable[[Sequence[I]], Sequence[O]],
        *,
        max_batch_size: int,
        max_queue_size: int,
        timeout_s: float,
        on_batch: Callable[[int, float, int], None],
    ) -> None:
        self._max_batch_size = max_batch_size
        self._max_queue_size = max_queue_size
        self._timeout_s = timeout_s
        self._on_batch = on_batch
        self._queue: deque[_Waiting[I, O]] = deque()
        self._running: list[_Waiting[I, O]] = []
        self._wake = asyncio.Event()
        self._draining = False
        self._busy_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = _Thread(run)

    @property
    def accepting(self) -> bool:
        """Whether items are taken, and the model is not hanging in a batch longer than the timeout."""
        hanging = self._busy_since is not None and time.perf_counter() - self._busy_since > self._timeout_s
        return self._task is not None and not self._task.done() and not self._draining and not hanging

    @property
    def queue_size(self) -> int:
        """Items that wait for a batch."""
        return len(self._queue)

    def start(self) -> None:
        """Begins to answer; to be called inside the event loop."""
        self._thread.start()
        self._task = asyncio.create_task(self._serve())

    async def stop(self) -> None:
        """Takes nothing more and answers what was accepted, with Draining where the model hangs past its timeout."""
        self._draining = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=self._timeout_s)
            self._task.cancel()
        for waiting in (*self._running, *self._queue):
            if not waiting.answer.done():
                waiting.answer.set_exception(Draining("the service stopped before the model answered"))
        self._thread.stop()

    async def submit(self, item: I) -> Answer[O]:
        """The result of `item`, once its batch has run.

        Raises Overloaded, Draining, AnswerTimeout, or ModelFailure when `run` failed.
        """
        if not self.accepting:
            raise Draining("the service is stopping, or its model hangs; try another instance")
        if len(self._queue) >= self._max_queue_size:
            raise Overloaded(f"{self._max_queue_size} images are waiting already; try again later")
        answer: asyncio.Future[Answer[O]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(item, answer, time.perf_counter()))
        self._wake.set()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except TimeoutError:
            raise AnswerTimeout(f"no answer within {self._timeout_s} s") from None

    async def _serve(self) -> None:
        while True:
            await self._wake.wait()
            self._running = self._form()
            if self._running:
                await self._answer(self._running)
            elif self._draining:
                return
            else:
                self._wake.clear()

    def _form(self) -> list[_Waiting[I, O]]:
        batch: list[_Waiting[I, O]] = []
        while self._queue and len(batch) < self._max_batch_size:
            waiting = self._queue.popleft()
            if not waiting.answer.done():  # its caller is still there
                batch.append(waiting)
        return batch

    async def _answer(self, batch: list[_Waiting[I, O]]) -> None:
        started = self._busy_since = time.perf_counter()
        try:
            results = await self._thread.run([waiting.item for waiting in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(batch)} items gave {len(results)} results")
        except Exception as error:  # whatever it is, no caller may be left waiting
            failure = ModelFailure(f"the model failed: {error}")
            failure.__cause__ = error
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(failure)
            return
        finally:
            self._busy_since = None
        seconds = time.perf_counter() - started
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(Answer(result, started - waiting.since, seconds))
        self._on_batch(len(batch), seconds, len(self._queue))


class _Thread(Generic[I, O]):
    """One thread for one function; a daemon, so that a function that never returns cannot keep the process alive."""

    def __init__(self, run: Callable[[Sequence[I]], Sequence[O]]) -> None:
        self._run = run
        self._jobs: SimpleQueue[tuple[list[I], Future[Sequence[O]]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._jobs.put(None)

    async def run(self, items: list[I]) -> Sequence[O]:
        result: Future[Sequence[O]] = Future()
        self._jobs.put((items, result))
        return await asyncio.wrap_future(result)

    def _work(self) -> None:
        while job := self._jobs.get():
            items, result = job
            if not result.set_running_or_notify_cancel():
                continue
            try:
                result.set_result(self._run(items))
            except Exception as error:  # handed to whoever waits
                result.set_exception(error)
