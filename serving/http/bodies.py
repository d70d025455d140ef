"""The bodies of requests that FastAPI answers: bounded each, and all together."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.errors import MalformedRequest, Overloaded, SlowUpload
from serving.heap import give_back
from serving.http.uploads import check_size
from serving.settings import Settings

TURN_S, MAX_TURN_BYTES = 0.005, 1_000_000
"""So much of all bodies, or little more, is taken in so many seconds: to take it costs about half of them."""
MANY_BYTES, REST_S = 32_000_000, 1.0
"""So much held at once leaves memory in pieces, which is given back so long after the last body."""


class Bodies:
    """All bodies that are held at one time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held, self._most = 0, 0  # bytes now, and at most since memory was given back
        self._lent = 0  # bytes
        self._turn_began, self._turn_bytes = 0.0, 0

    @asynccontextmanager
    async def of(self, request: Request, max_bytes: int | None = None) -> AsyncIterator[bytes]:
        """The request's whole body, which counts as held until the context ends.

        Never more than `max_bytes` of it, or what is set, is in memory. Raises SlowUpload, BodyTooLarge, Overloaded or
        MalformedRequest.
        """
        content = await self._read(request, self._settings.max_upload_bytes if max_bytes is None else max_bytes)
        try:
            yield content
        finally:
            self._release(len(content))

    @contextmanager
    def lent(self, size: int) -> Iterator[None]:
        """Counts a large answer of so many bytes until the context ends. Raises Overloaded, unless it is alone."""
        if self._lent and self._lent + size > self._settings.max_bodies_bytes:
            raise Overloaded(f"{self._lent:,} bytes of answers are being sent already; try again later")
        self._lent += size
        try:
            yield
        finally:
            self._lent -= size

    async def _read(self, request: Request, limit: int) -> bytes:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal():
            self._check(0, int(declared), limit)
        body, size = io.BytesIO(), 0
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                async for chunk in request.stream():
                    self._check(size, len(chunk), limit)
                    self._held += len(chunk)
                    self._most = max(self._most, self._held)
                    size += body.write(chunk)
                    await self._turn(len(chunk))
            return body.getvalue()  # no copy
        except BaseException as error:
            self._release(size)
            if isinstance(error, TimeoutError):
                raise SlowUpload(f"the body did not arrive within {self._settings.request_timeout_s} s") from None
            if isinstance(error, ClientDisconnect):
                raise MalformedRequest("the connection closed inside the body") from None
            raise

    def _release(self, size: int) -> None:
        self._held -= size
        if not self._held and self._most >= MANY_BYTES:
            self._most = 0
            asyncio.get_running_loop().call_later(REST_S, give_back)

    async def _turn(self, size: int) -> None:
        """Waits while much has arrived at once: others have their turn, and uvicorn reads no more of this body."""
        while True:
            now = time.perf_counter()
            if now - self._turn_began > TURN_S:
                self._turn_began, self._turn_bytes = now, 0
            if self._turn_bytes < MAX_TURN_BYTES:
                self._turn_bytes += size
                return
            await asyncio.sleep(TURN_S)

    def _check(self, size: int, more: int, limit: int) -> None:
        check_size(size + more, limit)
        if self._held + more > self._settings.max_bodies_bytes:
            raise Overloaded(f"{self._held:,} bytes of uploads are held already; try again later")
