"""Dynamic batching: while the model answers one batch, the next one gathers. Knows neither ONNX nor HTTP.

A batch forms at the moment the model is free, from whatever waits then: nothing ever waits for a timer. The model runs
on a thread of its own, one hop a batch. Items whose caller was cancelled or timed out in the meantime are dropped.
"""

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from serving.errors import AnswerTimeout, Draining, Hanging, ModelFailure, Overloaded, ServiceError
from serving.logs import Bounded
from serving.waiting import Done, result_of

I = TypeVar("I")
O = TypeVar("O")
logger = logging.getLogger("serving")


class Results(NamedTuple, Generic[O]):
    """The results of one group, with where their time went."""

    values: Sequence[O]
    queue_s: float
    """Seconds from submission until their batch formed."""
    run_s: float
    """Seconds that their batch took."""


@dataclass(slots=True, eq=False)
class Group(Generic[I, O]):
    """What was submitted together."""

    items: Sequence[I]
    done: Done[Results[O]]
    since: float
    settled: bool = False
    """Whether nobody waits for it any more: it was answered, or its caller has left."""

    def cancel(self) -> None:
        """Its caller has left: it is dropped when the next batch forms, and `done` is not called."""
        self.settled = True


class DynamicBatcher(Generic[I, O]):
    """Gathers items into batches for one `run` at a time, which happens on a thread of its own.

    Args:
        run: n items → n results, in order; blocking. When it raises, every caller of its batch gets ModelFailure.
        timeout_s: callers get AnswerTimeout after it; a batch that takes longer hangs, and nothing is taken meanwhile.
        hang_timeout_s: when a batch has taken so long, `on_hang` is called.
        on_batch: called after each batch with its size, its seconds, and the number of items that wait.
    """

    def __init__(
        self,
        run: Callable[[Sequence[I]], Sequence[O]],
        *,
        max_batch_size: int,
        max_queue_size: int,
        timeout_s: float,
        hang_timeout_s: float = math.inf,
        on_batch: Callable[[int, float, int], None] = lambda *_: None,
        on_hang: Callable[[], None] = lambda: None,
    ) -> None:
        self.max_batch_size = max_batch_size
        self._run = run
        self._max_queue_size = max_queue_size
        self._timeout_s = timeout_s
        self._hang_timeout_s = hang_timeout_s
        self._on_batch = on_batch
        self._on_hang = on_hang
        self._failures = Bounded(per_s=1)  # with their tracebacks
        self._queue: deque[Group[I, O]] = deque()
        self.waiting = 0  # items
        self._running: list[Group[I, O]] = []
        self._running_size = 0  # items
        self._busy_since: float | None = None
        self._forming = False
        self._draining = False
        self._expiry: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle = asyncio.Event()
        self._batches: SimpleQueue[list[Group[I, O]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    @property
    def accepting(self) -> bool:
        """Whether items are taken."""
        return self._loop is not None and not self._draining and not self.hanging

    @property
    def hanging(self) -> bool:
        """Whether the model has been in a batch for longer than the timeout."""
        return self._hangs(time.perf_counter())

    def _hangs(self, now: float) -> bool:
        return self._busy_since is not None and now - self._busy_since > self._timeout_s

    def start(self) -> None:
        """Begins to answer; to be called inside the event loop."""
        self._loop = asyncio.get_running_loop()
        self._idle.set()
        self._thread.start()

    async def stop(self) -> None:
        """Takes nothing more and answers what was accepted, with Draining where the model hangs past its timeout."""
        self._draining = True
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._idle.wait()
        except TimeoutError:
            for group in list(chain(self._running, self._queue)):
                _give(group, Draining("the service stopped before the model answered"))
        for timer in (self._expiry, self._watch):
            if timer:
                timer.cancel()
        self._batches.put(None)

    async def submit(self, items: Sequence[I]) -> Results[O]:
        """The results of `items`; raises what `add` raises and what it gives to `done`."""
        return await result_of(partial(self.add, items))

    def add(self, items: Sequence[I], done: Done[Results[O]]) -> Group[I, O]:
        """Queues `items`, which share a batch: at least one, at most `max_batch_size`.

        `done` is given their results, or AnswerTimeout, Draining, or ModelFailure when `run` failed. It costs neither
        a task nor a future. Raises Overloaded, Draining or Hanging.
        """
        size, loop = len(items), self._loop
        if not 0 < size <= self.max_batch_size:
            raise ValueError(f"{size} items are not one batch of at most {self.max_batch_size}")
        now = time.perf_counter()
        if loop is None or self._draining:
            raise Draining("the service is stopping; try another instance")
        if self._hangs(now):
            raise Hanging("the model hangs; try another instance")
        pending = self.waiting + self._running_size
        if pending + size > self._max_queue_size:
            raise Overloaded(f"{pending} images are waiting already; try again later")
        group: Group[I, O] = Group(items, done, now)
        self._queue.append(group)
        self.waiting += size
        if not self._forming and not self._running:
            self._forming = True
            self._idle.clear()
            loop.call_soon(self._form)  # once all that arrived together is here
        if self._expiry is None:
            self._expiry = loop.call_later(self._timeout_s, self._expire)
        return group

    def _form(self) -> None:
        """Hands the next batch to the thread, if anything waits."""
        self._forming = False
        batch, size = self._running, 0
        while self._queue and size + len(self._queue[0].items) <= self.max_batch_size:
            group = self._queue.popleft()
            self.waiting -= len(group.items)
            if not group.settled:
                batch.append(group)
                size += len(group.items)
        self._running_size = size
        if batch:
            self._busy_since = time.perf_counter()
            self._batches.put(batch)
            if self._watch is None and self._hang_timeout_s < math.inf:  # one timer for many batches
                assert self._loop is not None
                self._watch = self._loop.call_later(self._hang_timeout_s, self._check_hang)
        elif not self._queue:
            self._idle.set()

    def _work(self) -> None:
        """The thread: batch after batch, until None."""
        assert self._loop is not None
        while (batch := self._batches.get()) is not None:
            started = time.perf_counter()
            items = [item for group in batch for item in group.items]
            results: Sequence[O] | BaseException
            try:
                results = self._run(items)
                if len(results) != len(items):
                    raise RuntimeError(f"{len(items)} items gave {len(results)} results")
            except BaseException as error:  # SystemExit too: no caller may be left waiting, and this thread goes on
                results = error
            try:
                self._loop.call_soon_threadsafe(self._deliver, results, len(items), started, time.perf_counter())
            except RuntimeError:  # the loop is closed: nobody waits any more
                return
            del batch, items, results  # what they refer to need not live until the next batch

    def _deliver(self, results: Sequence[O] | BaseException, size: int, started: float, ended: float) -> None:
        """Starts the next batch, then gives each group of the last one its share of the results."""
        batch, self._running, self._running_size, self._busy_since = self._running, [], 0, None
        self._form()
        if isinstance(results, BaseException):
            self._failures.log(logging.ERROR, f"the model failed on a batch of {size}", error=results)
            for group in batch:
                _give(group, ModelFailure("the model failed; the server's log tells more"))
            return
        first, run_s = 0, ended - started
        for group in batch:
            last = first + len(group.items)
            _give(group, Results(results[first:last], started - group.since, run_s))
            first = last
        self._on_batch(size, run_s, self.waiting)

    def _expire(self) -> None:
        """Ends groups that have waited longer than the timeout, and schedules itself for the next one."""
        assert self._loop is not None
        now = time.perf_counter()
        pending = [group for group in chain(self._running, self._queue) if not group.settled]
        late = [group for group in pending if now - group.since >= self._timeout_s]
        for group in late:
            _give(group, AnswerTimeout(f"no answer within {self._timeout_s} s"))
        oldest = min((group.since for group in pending[len(late) :]), default=None)
        self._expiry = None
        if oldest is not None:
            self._expiry = self._loop.call_later(oldest + self._timeout_s - now, self._expire)

    def _check_hang(self) -> None:
        """Reports a batch that takes too long, and schedules itself while the model is at work."""
        assert self._loop is not None
        self._watch = None
        if self._busy_since is not None:
            left_s = self._busy_since + self._hang_timeout_s - time.perf_counter()
            if left_s <= 0:
                self._on_hang()
            self._watch = self._loop.call_later(left_s if left_s > 0 else self._hang_timeout_s, self._check_hang)


def _give(group: Group[I, O], result: Results[O] | ServiceError) -> None:
    """Delivers the result unless the caller has left; an exception in one callback must not reach the others."""
    if group.settled:
        return
    group.settled = True
    try:
        group.done(result)
    except Exception:
        logger.exception("a result could not be delivered")
