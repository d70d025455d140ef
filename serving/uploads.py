"""Request body → the bytes of one image, within limits. Knows nothing about what an image is."""

import asyncio
from collections.abc import AsyncGenerator

from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from serving.errors import MalformedRequest, SlowUpload, TooLarge

FIELD = "file"
MAX_BOUNDARY = 70
"""Characters (RFC 2046, section 5.1.1)."""


async def read_image(request: Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """The uploaded image, sent raw or as the multipart field `file`.

    Which of the two is told by the first bytes, not by the header: `curl --data-binary` claims to send a form.
    Raises MalformedRequest, SlowUpload or TooLarge.
    """
    body = await read_body(request, max_bytes=max_bytes, timeout_s=timeout_s)
    return await multipart_file(body) if body.startswith(b"--") else body


async def read_body(request: Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """The whole body, never more than `max_bytes` of it in memory."""
    too_large = TooLarge(f"the body is larger than {max_bytes:,} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise too_large
    except TimeoutError:
        raise SlowUpload(f"the body did not arrive within {timeout_s} s") from None
    if not body:
        raise MalformedRequest("the body is empty: send an image")
    return bytes(body)


async def multipart_file(body: bytes) -> bytes:
    """The content of the field `file` of a multipart body (RFC 7578), whose first line is its boundary."""
    end = body.find(b"\r\n", 2, 2 + MAX_BOUNDARY + 2)
    if end < 0:
        raise MalformedRequest("the body starts like multipart, but its first line is no boundary (RFC 2046)")
    boundary = body[2:end].decode("latin-1")

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    try:
        parser = MultiPartParser(headers, whole(), max_files=1, max_fields=10)
        parser.spool_max_size = len(body) + 1  # it is in memory already: no temporary file
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:
        raise MalformedRequest(f"the multipart body is damaged: {error}") from error
    try:
        upload = form.get(FIELD)
        if not isinstance(upload, UploadFile):
            found = ", ".join(repr(name) for name in form) or "none"
            raise MalformedRequest(f"the image must be a file in the multipart field {FIELD!r}; fields sent: {found}")
        content = await upload.read()
    finally:
        await form.close()
    if not content:
        raise MalformedRequest(f"the file in the multipart field {FIELD!r} is empty")
    return content
