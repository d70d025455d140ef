"""Work that ends with a callback: how to wait for it, and how to leave it."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
Done = Callable[[T | Exception], None]
"""Called once, in the event loop, after the call that started the work has returned.

An exception is a Failure of this request, or a bug.
"""


class Started(Protocol):
    """Work under way."""

    def cancel(self) -> object:
        """Nobody waits for it any more: its callback is not called."""


async def result_of(start: Callable[[Done[T]], Started]) -> T:
    """Starts work and waits for its result; raises what `start` raises and what the work ends with."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def settle(result: T | Exception) -> None:
        if future.done():
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    work = start(settle)
    try:
        return await future
    finally:
        work.cancel()
