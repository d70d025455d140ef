"""Large answers, sent no faster than they are read; knows the kinds of picture files that are taken."""

import asyncio
from collections.abc import Iterable, Iterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.http.bodies import Bodies
from serving.http.replies import JSON
from serving.http.running import client_leaves

PIECE = 262_144
"""Bytes that are handed to the connection at once."""
STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"II+\0": "image/tiff",
    b"MM\0+": "image/tiff",
}
"""How files of each kind begin."""
SAFELY = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "private, no-cache",
}
"""Headers of what a stranger may have made: a browser shows it as a picture, and as nothing else."""


def media_type_of(picture: bytes) -> str:
    """By the file's first bytes."""
    if picture.startswith(b"RIFF") and picture[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in STARTS.items() if picture.startswith(start)), "application/octet-stream")


def cut(content: bytes | memoryview) -> Iterator[memoryview]:
    """Content in pieces, none of them copied."""
    whole = memoryview(content)
    return (whole[first : first + PIECE] for first in range(0, len(whole), PIECE))


class Pieces(Response):
    """An answer in pieces, each of which waits until the client has read most of those before.

    Args:
        pieces: of the content; each is made when it is needed.
        held: bytes that they keep in memory, which are counted with those of other answers until all is sent.
        length: of them all; None where it is not known before.
    """

    def __init__(
        self,
        pieces: Iterable[bytes | memoryview],
        held: int,
        bodies: Bodies,
        media_type: str,
        headers: dict[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        super().__init__(None, 200, headers, media_type)
        self._pieces, self._held, self._bodies = pieces, held, bodies
        if length is None:
            del self.headers["content-length"]
        else:
            self.headers["content-length"] = str(length)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        left = asyncio.ensure_future(client_leaves(receive))
        try:
            with self._bodies.lent(self._held):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                for piece in self._pieces:
                    await send({"type": "http.response.body", "body": bytes(piece), "more_body": True})
                    await asyncio.sleep(0)  # others have their turn, however fast this client reads
                    if left.done():
                        return
                await send({"type": "http.response.body", "body": b""})
        finally:
            left.cancel()


def whole(content: bytes, bodies: Bodies) -> Pieces:
    """An answer in JSON that may be large."""
    return Pieces(cut(content), len(content), bodies, JSON, None, len(content))


def picture(content: bytes, bodies: Bodies) -> Pieces:
    """A picture file that somebody sent."""
    return Pieces(cut(content), len(content), bodies, media_type_of(content), SAFELY, len(content))
