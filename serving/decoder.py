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
from serving.errors import AnswerTimeout, Overloaded

T = TypeVar("T")
INLINE_BYTES = 16_384
INLINE_PIXELS = 128 * 128
"""Images up to these sizes are decoded where they arrive: a thread hop would take longer."""
WAITING_PER_THREAD = 8
"""Uploads that may wait for each thread; every one of them is held in memory."""


class Decoder:
    """A pool of one thread a core.

    Args:
        max_pixels: larger images are refused.
        timeout_s: seconds after which a caller gets AnswerTimeout.
    """

    def __init__(self, max_pixels: int, timeout_s: float) -> None:
        self._max_pixels = max_pixels
        self._timeout_s = timeout_s
        self._threads = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="decoder")
        self._unfinished: set[Future[Any]] = set()

    def decode_here(self, content: bytes) -> Seen | None:
        """A small upload → what it shows; None for one that needs a thread. Raises PictureError."""
        if (clean := clean_digit(content)) is not None:
            return Seen(clean)
        if len(content) <= INLINE_BYTES:
            image = open_image(content, self._max_pixels)
            if decoded_pixels(image) <= INLINE_PIXELS:
                return to_digit(image)
        return None

    async def decode(self, content: bytes) -> Seen:
        """Any upload → what it shows, on a thread. Raises PictureError, Overloaded or AnswerTimeout."""
        return await self._on_a_thread(partial(self._decode, content))

    async def decode_many(self, contents: Sequence[bytes]) -> list[Seen | PictureError]:
        """Uploads → for each what it shows, or what is wrong with it; prepared ones here, the others on one thread.

        Raises Overloaded or AnswerTimeout.
        """
        clean = [clean_digit(content) for content in contents]
        others = [content for content, pixels in zip(contents, clean, strict=True) if pixels is None]
        decoded = iter(await self._on_a_thread(partial(self._decode_each, others)) if others else ())
        return [next(decoded) if pixels is None else Seen(pixels) for pixels in clean]

    def close(self) -> None:
        """Starts nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _on_a_thread(self, decode: Callable[[], T]) -> T:
        if len(self._unfinished) >= self._threads * (1 + WAITING_PER_THREAD):
            raise Overloaded(f"{len(self._unfinished)} large images wait to be decoded already; try again later")
        work = self._pool.submit(decode)
        self._unfinished.add(work)
        work.add_done_callback(self._unfinished.discard)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(work)
        except TimeoutError:
            raise AnswerTimeout(f"the image was not decoded within {self._timeout_s} s") from None

    def _decode_each(self, contents: Sequence[bytes]) -> list[Seen | PictureError]:
        decoded: list[Seen | PictureError] = []
        for content in contents:
            try:
                decoded.append(self._decode(content))
            except PictureError as error:
                decoded.append(error)
        return decoded

    def _decode(self, content: bytes) -> Seen:
        refuse_many_blocks(content)
        return to_digit(open_image(content, self._max_pixels))
