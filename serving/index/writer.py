"""Commits waiting writes together: one flush of the disk for many of them. Knows no database."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from serving.errors import Draining, Overloaded, ServiceError
from serving.index.items import Put, Result, Write
from serving.index.store import MAX_GROUP, Store
from serving.logs import Bounded

MAX_GROUP_BYTES = 32_000_000
"""Of the images that are committed together, unless a single one is larger."""


class Waiting(NamedTuple):
    """Writes of one caller."""

    writes: Sequence[Write]
    size: int
    """Bytes."""
    done: "Future[list[Result]]"


class Writer:
    """A thread that writes to the store, group after group: while one is committed, the next one gathers.

    Args:
        on_commit: called after each commit, before its callers are told.
        max_bytes: of all writes that wait; more are refused.
    """

    def __init__(
        self, store: Store, on_commit: Callable[[], None] = lambda: None, max_bytes: int = 256_000_000
    ) -> None:
        self._store, self._on_commit, self._max_bytes = store, on_commit, max_bytes
        self._queue: deque[Waiting] = deque()
        self._bytes = 0  # of the queue
        self._changed = threading.Condition()
        self._stopping = False
        self._failures = Bounded(per_s=1)
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def stop(self) -> None:
        """Takes nothing more, and writes what it has taken."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def add(self, writes: Sequence[Write]) -> "Future[list[Result]]":
        """Queues at most MAX_GROUP writes, which are committed together; their results come when they are durable.

        The future raises StoreFailure or StoreFull where nothing was committed, or it is not known whether it was.
        Cancelling it drops writes that still wait. Raises Overloaded or Draining.
        """
        if not 0 < len(writes) <= MAX_GROUP:
            raise ValueError(f"{len(writes)} writes are not 1 to {MAX_GROUP}")
        waiting = Waiting(writes, sum(write.size for write in writes if isinstance(write, Put)), Future())
        with self._changed:
            if self._stopping:
                raise Draining("the service is stopping; try another instance")
            if self._queue and self._bytes + waiting.size > self._max_bytes:
                raise Overloaded(f"{self._bytes} bytes are waiting to be written already; try again later")
            self._queue.append(waiting)
            self._bytes += waiting.size
            self._changed.notify()
        return waiting.done

    def _work(self) -> None:
        while group := self._next_group():
            self._commit(group)

    def _next_group(self) -> list[Waiting]:
        """What is to be committed together; empty when the writer has stopped and everything is written."""
        group: list[Waiting] = []
        count = size = 0
        with self._changed:
            while not group:
                while not self._queue and not self._stopping:
                    self._changed.wait()
                if not self._queue:
                    return []
                while self._queue and count + len(self._queue[0].writes) <= MAX_GROUP:
                    if group and size + self._queue[0].size > MAX_GROUP_BYTES:
                        break
                    one = self._queue.popleft()
                    self._bytes -= one.size
                    if one.done.set_running_or_notify_cancel():
                        group.append(one)
                        count, size = count + len(one.writes), size + one.size
        return group

    def _commit(self, group: list[Waiting]) -> None:
        try:
            results = self._store.write([write for one in group for write in one.writes])
        except BaseException as error:  # no caller may be left waiting, and this thread goes on
            if not isinstance(error, ServiceError):  # the store has logged those
                self._failures.log(logging.ERROR, "a group of writes failed", error=error)
            for one in group:
                one.done.set_exception(error)
            return
        try:
            self._on_commit()
        except Exception as error:  # it is durable all the same
            if not isinstance(error, ServiceError):
                self._failures.log(logging.ERROR, "a write was committed and could not be applied", error=error)
        first = 0
        for one in group:
            one.done.set_result(results[first : first + len(one.writes)])
            first += len(one.writes)
