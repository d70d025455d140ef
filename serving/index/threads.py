"""Threads for what blocks: at most so many at once, and a bounded number of callers that wait for one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from serving.errors import Draining, Overloaded

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A few threads; for one event loop.

    Args:
        name: what they are called.
        count: how many there are; none before the first call.
        waiting: calls that may be under way or wait; more are refused.
    """

    def __init__(self, name: str, count: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(count, name)
        self._waiting, self._under_way, self._stopped = waiting, 0, False

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns or raises; raises Overloaded or Draining.

        If it is cancelled, a call that has not begun never does; one that has goes on, and nobody is told its end.
        """
        if self._stopped:
            raise Draining("the service is stopping; try another instance")
        if self._under_way >= self._waiting:
            raise Overloaded(f"{self._under_way} requests to the index are waiting already; try again later")
        self._under_way += 1
        future = self._pool.submit(call, *args, **kwargs)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._on_done))
        return await asyncio.wrap_future(future)

    def _on_done(self) -> None:
        self._under_way -= 1

    def stop(self) -> None:
        """Takes nothing more, drops what waits, and waits for what is under way; blocks."""
        self._stopped = True
        self._pool.shutdown(cancel_futures=True)
