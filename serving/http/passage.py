"""The way from a connection to uvicorn's own protocol, one request at a time. Knows no route and no answer."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import MalformedRequest
from serving.http.heads import END, MAX_HEAD_BYTES, RequestHead

LAST_CHUNK = b"0\r\n\r\n"
FRAME_FACTOR = 8
"""Bytes that a chunked body may take for each byte of data, besides `MAX_HEAD_BYTES`: chunks of one byte take six."""
DRAIN_BYTES_S = 200e6
"""So much a second is read of all refused bodies together: many such clients must not keep the loop busy."""
LINGER_S, LINGER_TIMES = 1.0, 10
"""How long the next bytes of a body may take whose request is answered already, and how often they are waited for."""


class Drain:
    """Bodies that are refused already, on all connections: their bytes are read in turn, and dropped."""

    def __init__(self) -> None:
        self._free_at = 0.0  # by `time.perf_counter`

    def pause(self, size: int) -> float:
        """Seconds until the connection that brought these bytes may bring more."""
        now = time.perf_counter()
        self._free_at = max(now, self._free_at) + size / DRAIN_BYTES_S
        return self._free_at - now


class Passage:
    """What an unmodified uvicorn protocol takes for its connection's transport.

    It is given whole requests, each after the answer to the one before, so that it never sees the next one's bytes.

    Args:
        transport: the connection's.
        loop: the running one.
        drain: of this process.
        open_protocol: makes uvicorn's protocol.
        on_through: called when a request has arrived whole and its response is complete.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        drain: Drain,
        open_protocol: Callable[[], Any],
        on_through: Callable[[], None],
    ) -> None:
        self._transport, self._loop, self._drain = transport, loop, drain
        self._on_through = on_through
        self._missing = 0
        self._chunks: _Chunks | None = None
        self.answered = True
        """Whether the last request's response is complete."""
        self.broken = False
        """Whether the last request's body was damaged: what lies behind it cannot be told apart."""
        self._moved = False  # whether more of a body has come since this was last asked
        self.lost = False
        self.protocol = open_protocol()
        """uvicorn's; None when the passage is lost."""
        self.protocol.app = self._around(self.protocol.app)
        self.protocol.connection_made(self)

    @property
    def receiving(self) -> bool:
        """Whether the last request's body has not arrived whole."""
        return self._missing > 0 or self._chunks is not None

    def begin(self, head: RequestHead) -> None:
        """Hands over the next request's head."""
        self.answered, self._missing = False, head.content_length or 0
        self._chunks = _Chunks(head.raw) if head.chunked else None
        self.protocol.data_received(head.raw)

    def feed(self, data: bytes) -> bytes:
        """Hands over as much of `data` as belongs to the request's body; gives back what lies behind it."""
        if self._chunks is None:
            body, data = data[: self._missing], data[self._missing :]
        else:
            body, data = self._chunks.read(data)
            self.broken = self._chunks.broken
        self._moved = True
        if self.answered and self._chunks is None:
            self.lose(None)  # refused before all has come: uvicorn need not read the rest
            if len(body) < self._missing:
                self._transport.pause_reading()
                self._loop.call_later(self._drain.pause(len(body)), self._transport.resume_reading)
        if body and not (self.lost or self._transport.is_closing()):
            self.protocol.data_received(body)
        # After the hand-over: where uvicorn refuses these bytes, `close` must still see a request under way.
        if self._chunks is None:
            self._missing -= len(body)
        elif self._chunks.complete:
            self._chunks = None
        if self.answered and not self.receiving:
            self._on_through()
        return data

    def _on_response(self) -> None:
        self.answered, self._moved = True, False
        if self.receiving:
            self._loop.call_later(LINGER_S, self._linger, LINGER_TIMES)
        else:
            self._on_through()

    def _linger(self, times: int) -> None:
        """Waits for the rest of a body whose request is answered: closing at once could lose the answer."""
        if self.answered and self.receiving:
            if self._moved and times:
                self._moved = False
                self._loop.call_later(LINGER_S, self._linger, times - 1)
            else:
                self._transport.close()

    def _around(self, app: ASGIApp) -> ASGIApp:
        """`app`, which tells when its response is complete; outside of all middleware, which may hold parts back."""

        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            async def receive_whole() -> Message:
                message = await receive()
                if self.broken:
                    raise MalformedRequest("the chunked body is damaged (RFC 9112, section 7.1)")
                return message

            async def send_and_tell(message: Message) -> None:
                await send(message)
                if message["type"] == "http.response.body" and not message.get("more_body", False):
                    self._on_response()

            await app(scope, receive_whole, send_and_tell)

        return run

    def lose(self, error: Exception | None) -> None:
        """The connection is lost, or uvicorn's protocol is no longer needed."""
        if not self.lost:
            self.lost = True
            self.protocol.connection_lost(error)
            self.protocol = None  # it refers to this passage

    # What uvicorn's protocol takes for its transport

    def close(self) -> None:
        """Ends the connection; when no request is under way, only this passage: the front closes idle connections."""
        if self.answered and not self.receiving:
            self.lose(None)
        elif not self.lost:
            self._transport.close()

    def __getattr__(self, name: str) -> Any:
        """All else is the connection's own."""
        return getattr(self._transport, name)


class _Body:
    """What the parser calls back."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.complete = False

    def on_body(self, piece: bytes) -> None:
        """httptools: a part of a chunk."""
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        """httptools: that was all of the body."""
        self.complete = True


class _Chunks:
    """Reads a chunked body and writes it anew, without extensions and trailers, which uvicorn would take for fields.

    llhttp does not say at which byte the body ends (RFC 9112, section 7.1). It ends in an empty line, so llhttp is fed
    in pieces that end in one: the end is then a piece's end.
    """

    def __init__(self, head: bytes) -> None:
        self._body = _Body()
        self.broken = False
        self._surplus = 0  # bytes of extensions, trailers and the like, less what the data excuses
        self._tail = b""
        self._parser = httptools.HttpRequestParser(self._body)
        self._parser.feed_data(head)

    @property
    def complete(self) -> bool:
        """Whether the body has ended."""
        return self._body.complete

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """What came → chunks for uvicorn, and what lies behind the body: nothing when it is broken."""
        carried, searched = len(self._tail), 0
        data, start = self._tail + data, carried
        self._body.pieces = []
        while start < len(data) and not self.complete:
            found = data.find(END, searched)
            end = found + len(END) if found >= 0 else len(data)
            try:
                self._parser.feed_data(data[start:end])
            except httptools.HttpParserError:
                return self._break()
            self._tail = b"" if found >= 0 else data[searched:][-3:]
            start = searched = end
        self._surplus += start - carried - FRAME_FACTOR * sum(map(len, self._body.pieces))
        if self._surplus > MAX_HEAD_BYTES:
            return self._break()
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in self._body.pieces)
        return chunks + (LAST_CHUNK if self.complete else b""), data[start:]

    def _break(self) -> tuple[bytes, bytes]:
        self._body.complete = self.broken = True
        return LAST_CHUNK, b""
