"""Decodes uploads in the right place: small ones where they arrive, the others on a bounded pool of threads."""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from models.pictures.decode import clean_digit, decoded_pixels, open_image, to_digit
from models.pictures.errors import PictureError
from models.pictures.ink import Seen
from serving.bombs import refuse_many_blocks
from serving.errors import AnswerTimeout, Failure, Overloaded

T = TypeVar("T")
INLINE_BYTES = 16_384
INLINE_PIXELS = 128 * 128
"""Images up to these sizes are decoded where they arrive: a thread hop would take longer."""
WAITING_PER_THREAD = 8
"""Uploads that may wait for each thread; every one of them is held in memory."""


class Decoder:
    """A pool of one thread a core; what it cannot start or finish in time is refused."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._threads = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="decoder")
        self._unfinished: set[Future[Any]] = set()

    async def decode(self, content: bytes, timeout_s: float) -> Seen:
        """Upload → its digit.

        Raises NotAnImage, UndecodableImage or TooLarge; Overloaded when too many wait; AnswerTimeout.
        """
        seen = self.decode_at_once(content)
        return await self._on_a_thread(partial(self._decode, content), timeout_s) if seen is None else seen

    def decode_at_once(self, content: bytes) -> Seen | None:
        """A small upload → its digit; None for one that needs a thread.

        Raises NotAnImage, UndecodableImage or TooLarge.
        """
        if (clean := clean_digit(content)) is not None:
            return Seen(clean)
        if len(content) <= INLINE_BYTES:
            image = open_image(content, self._max_pixels)
            if decoded_pixels(image) <= INLINE_PIXELS:
                return to_digit(image)
        return None

    async def decode_many(self, contents: Sequence[bytes], timeout_s: float) -> list[Seen | Failure]:
        """Uploads → for each its digit, or what is wrong with it; clean ones here, the others on one thread.

        Raises Overloaded when too many wait; AnswerTimeout.
        """
        clean = [clean_digit(content) for content in contents]
        others = [content for content, digit in zip(contents, clean, strict=True) if digit is None]
        decoded = iter(await self._on_a_thread(partial(self._decode_each, others), timeout_s) if others else ())
        return [next(decoded) if digit is None else Seen(digit) for digit in clean]

    async def _on_a_thread(self, decode: Callable[[], T], timeout_s: float) -> T:
        if len(self._unfinished) >= self._threads * (1 + WAITING_PER_THREAD):
            raise Overloaded(f"{len(self._unfinished)} large images wait to be decoded already; try again later")
        work = self._pool.submit(decode)
        self._unfinished.add(work)
        work.add_done_callback(self._unfinished.discard)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(work)
        except TimeoutError:
            raise AnswerTimeout(f"the image was not decoded within {timeout_s} s") from None

    def close(self) -> None:
        """Starts nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _decode_each(self, contents: Sequence[bytes]) -> list[Seen | Failure]:
        seen: list[Seen | Failure] = []
        for content in contents:
            try:
                seen.append(self._decode(content))
            except PictureError as error:
                seen.append(error)
        return seen

    def _decode(self, content: bytes) -> Seen:
        refuse_many_blocks(content)
        return to_digit(open_image(content, self._max_pixels))
