"""The bodies of requests that FastAPI answers: bounded each, and all together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.errors import MalformedRequest, Overloaded, SlowUpload
from serving.http.uploads import check_size
from serving.settings import Settings


class Bodies:
    """All bodies that are held at one time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held = 0  # bytes

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
            self._held -= len(content)

    async def _read(self, request: Request, limit: int) -> bytes:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal():
            self._check(0, int(declared), limit)
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                async for chunk in request.stream():
                    self._check(len(body), len(chunk), limit)
                    self._held += len(chunk)
                    body += chunk
            return bytes(body)
        except BaseException as error:
            self._held -= len(body)
            if isinstance(error, TimeoutError):
                raise SlowUpload(f"the body did not arrive within {self._settings.request_timeout_s} s") from None
            if isinstance(error, ClientDisconnect):
                raise MalformedRequest("the connection closed inside the body") from None
            raise

    def _check(self, size: int, more: int, limit: int) -> None:
        check_size(size + more, limit)
        if self._held + more > self._settings.max_bodies_bytes:
            raise Overloaded(f"{self._held:,} bytes of uploads are held already; try again later")
