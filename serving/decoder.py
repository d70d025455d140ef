"""Decodes uploads in the right place: small ones where they arrive, the others on a bounded pool of threads."""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from models.pictures.decode import decoded_pixels, open_image
from models.pictures.errors import PictureError
from models.pictures.preparation import Found, Preparation
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
        preparation: of the model's input.
        max_pixels: larger images are refused.
        timeout_s: seconds after which a caller gets AnswerTimeout.
    """

    def __init__(self, preparation: Preparation, max_pixels: int, timeout_s: float) -> None:
        self._preparation = preparation
        self._max_pixels = max_pixels
        self._timeout_s = timeout_s
        self._threads = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="decoder")
        self._unfinished: set[Future[Any]] = set()

    def decode_here(self, content: bytes) -> Found | None:
        """A small upload → what it shows; None for one that needs a thread. Raises PictureError."""
        if (pixels := self._preparation.already_prepared(content)) is not None:
            return Found(pixels)
        if len(content) <= INLINE_BYTES:
            image = open_image(content, self._max_pixels)
            if decoded_pixels(image) <= INLINE_PIXELS:
                return self._preparation.prepare(image)
        return None

    async def decode(self, content: bytes) -> Found:
        """Any upload → what it shows, on a thread. Raises PictureError, Overloaded or AnswerTimeout."""
        return await self._on_a_thread(partial(self._decode, content))

    async def decode_many(self, contents: Sequence[bytes]) -> list[Found | PictureError]:
        """Uploads → for each what it shows, or what is wrong with it; prepared ones here, the others on one thread.

        Raises Overloaded or AnswerTimeout.
        """
        prepared = [self._preparation.already_prepared(content) for content in contents]
        others = [content for content, pixels in zip(contents, prepared, strict=True) if pixels is None]
        decoded = iter(await self._on_a_thread(partial(self._decode_each, others)) if others else ())
        return [next(decoded) if pixels is None else Found(pixels) for pixels in prepared]

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

    def _decode_each(self, contents: Sequence[bytes]) -> list[Found | PictureError]:
        decoded: list[Found | PictureError] = []
        for content in contents:
            try:
                decoded.append(self._decode(content))
            except PictureError as error:
                decoded.append(error)
        return decoded

    def _decode(self, content: bytes) -> Found:
        refuse_many_blocks(content)
        return self._preparation.prepare(open_image(content, self._max_pixels))
