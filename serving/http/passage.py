"""The way from a connection to uvicorn's own protocol, one request at a time. Knows no route and no answer."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import MalformedRequest
from serving.http.chunks import Chunks
from serving.http.heads import RequestHead

DRAIN_BYTES_S = 200e6
"""So much a second is read of all refused bodies together: many such clients must not keep the loop busy."""
CHUNKED_STEP, CHEAP_S = 32_768, 0.001
"""So many bytes of a chunked body are read at once; when that takes longer than so many seconds (10 ms at worst), all
connections of this kind together get half of the loop's time."""
LINGER_S, LINGER_TIMES = 1.0, 10
"""How long the next bytes of a body may take whose request is answered already, and how often they are waited for."""


class Drain:
    """Bodies that are not worth their cost, on all connections: those that are refused already, and small chunks."""

    def __init__(self) -> None:
        self._free_at = 0.0  # by `time.perf_counter`

    def pause(self, size: int) -> float:
        """Seconds until the connection that brought these bytes may bring more."""
        return self.rest(size / DRAIN_BYTES_S)

    def rest(self, seconds: float) -> float:
        """The same, where that is to be so long if no other connection is waited for."""
        now = time.perf_counter()
        self._free_at = max(now, self._free_at) + seconds
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
        on_room: called when `feed` takes more of what it gave back while it was `receiving`.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        drain: Drain,
        open_protocol: Callable[[], Any],
        on_through: Callable[[], None],
        on_room: Callable[[], None],
    ) -> None:
        self._transport, self._loop, self._drain = transport, loop, drain
        self._on_through, self._on_room = on_through, on_room
        self._full = self._resting = False  # why no chunks are taken: uvicorn has enough, others' turn
        self._missing = 0
        self._chunks: Chunks | None = None
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
        self._chunks = Chunks(head.raw) if head.chunked else None
        self.protocol.data_received(head.raw)

    def feed(self, data: bytes) -> bytes:
        """Hands over as much of `data` as belongs to the request's body; gives back what lies behind it.

        Of a chunked body it gives back what it does not take yet, too.
        """
        self._moved = self._moved or bool(data)
        if self._chunks is None:
            body, data = data[: self._missing], data[self._missing :]
        elif self._full or self._resting:
            return data
        else:
            body, data = self._read_chunks(self._chunks, data)
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

    def _read_chunks(self, chunks: Chunks, data: bytes) -> tuple[bytes, bytes]:
        started = time.perf_counter()
        body, behind = chunks.read(data[:CHUNKED_STEP])
        self.broken = chunks.broken
        rest = b"" if self.broken else behind + data[CHUNKED_STEP:]
        seconds = time.perf_counter() - started
        if not chunks.complete and (rest or seconds > CHEAP_S):
            self._resting = True
            self._loop.call_later(self._drain.rest(seconds) if seconds > CHEAP_S else 0, self._end_rest)
        return body, rest

    def _end_rest(self) -> None:
        self._resting = False
        self._on_room()

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

    def pause_reading(self) -> None:
        """uvicorn has enough of the body."""
        self._full = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """uvicorn takes more."""
        self._full = False
        self._transport.resume_reading()
        if self._chunks is not None:
            self._loop.call_soon(self._on_room)

    def __getattr__(self, name: str) -> Any:
        """All else is the connection's own."""
        return getattr(self._transport, name)
