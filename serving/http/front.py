"""A short cut from socket to answer for the busiest requests: uvicorn's own protocol, without ASGI around each of them.

A POST to one of the URLs in `KINDS` whose body is small and arrives at once is answered here, by the same functions
that FastAPI's routes call, and not even parsed when its head came before (heads.py). All else goes uvicorn's ordinary
way, which takes longer than decoding, inference and answer together (loadtest/README.md has the figures). Relies on how
uvicorn's protocol works inside, hence the bounds on its version in pyproject.toml.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from models.pictures.decode import clean_digit
from models.pictures.ink import Seen
from serving.batcher import Answer, Group
from serving.errors import FAILURES, ServiceError, lines_of, response_to, unexpected
from serving.http.answers import EMBED, KINDS, Services, embed_kind, found
from serving.http.gate import REQUEST_ID, request_id
from serving.http.heads import Head, KnownHeads
from serving.http.uploads import check_size, one_image
from serving.index.memory import Neighbor, Query
from serving.model import Prediction

PATIENCE_S = 0.1
"""How long the rest of a body may take before its request goes the ordinary way, with the timeouts set."""
MAX_BODY = 65_536
"""Larger ones go the ordinary way: what is saved is nothing beside decoding them."""


class Cycle:
    """What uvicorn's protocol asks of the request that it is working on."""

    message_event = asyncio.Event()
    """Set when the connection is lost; nobody waits for it."""
    disconnected = response_complete = False

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive


class ShortCutProtocol(HttpToolsProtocol):
    """One connection."""

    _known: ClassVar[KnownHeads] = KnownHeads()
    _renewed: ClassVar[list[tuple[bytes, bytes]]] = []
    _lines: ClassVar[bytes] = b""
    """The headers that uvicorn renews once a second."""

    _between: bool = True
    """Whether the next byte begins a request."""
    _unparsed: bytes = b""
    """What just arrived, when it begins a request."""
    _parts: list[bytes] | None = None
    """What has arrived of a body whose request may be cut short."""
    _room: int = 0
    """How many more bytes of it are taken."""
    _patience: asyncio.TimerHandle | None = None

    _deps: Services
    _short: bool = False
    _head: Head
    """Of the request that is being answered, as are those below."""
    _cycle: Cycle
    _since: float = 0.0  # when it began, and afterwards when it was answered
    _answer: Answer[Prediction]
    _decoding: "asyncio.Task[None] | None" = None
    _group: Group[Any, Any] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio: somebody is there."""
        super().connection_made(transport)
        if isinstance(self.app, FastAPI):  # and not something of uvicorn's around it
            self._short, self._deps = True, self.app.state.services

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of one or more requests."""
        if self._between and (request := self._known.split(data)) is not None and self._may_begin:
            self._begin(*request)
            return
        self._unparsed = data if self._between else b""
        super().data_received(data)
        self._unparsed = b""
        if self._parts is not None and self._patience is None:  # many clients send headers and body apart
            self._patience = self.loop.call_later(PATIENCE_S, self._hand_over)

    def on_message_begin(self) -> None:
        """httptools: the first byte of a request."""
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """httptools: the request is known, its body is not."""
        if self._may_be_cut_short():
            self._parts, self._room = [], MAX_BODY
        else:
            super().on_headers_complete()
            if self.parser.should_upgrade():  # nothing here does, and httptools takes its body for the next request
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """httptools: some of the body."""
        if self._parts is None:
            super().on_body(body)
        else:
            self._parts.append(body)
            self._room -= len(body)
            if self._room < 0:
                self._hand_over()

    def on_message_complete(self) -> None:
        """httptools: all of the body."""
        self._between = True
        if self._parts is None:
            super().on_message_complete()
            return
        body, headers = b"".join(self._take_parts()), dict(reversed(self.headers))
        kind = KINDS[self.url]
        if kind is EMBED:
            kind = embed_kind(headers.get(b"accept", b"").decode("latin-1"))
        head = Head(kind, headers.get(b"x-request-id"), self.parser.should_keep_alive())
        self._known.remember(self._unparsed, head, body)
        self._begin(head, body)

    def _hand_over(self) -> None:
        """Leaves a request whose body is slow or large to uvicorn, before it is complete."""
        body = b"".join(self._take_parts())
        super().on_headers_complete()
        super().on_body(body)

    def _take_parts(self) -> list[bytes]:
        assert self._parts is not None
        parts, self._parts = self._parts, None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        return parts

    def shutdown(self) -> None:
        """uvicorn: answer what has begun to arrive, and nothing more."""
        if self._parts is not None:
            self._hand_over()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: nobody is there to be answered."""
        if self._parts is not None:
            self._take_parts()
        if self._decoding is not None:
            self._decoding.cancel()
        if self._group is not None:
            self._group.settled = True
        self._decoding = self._group = None  # they refer to this connection
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """uvicorn: nothing was asked for a while, but for the short cuts, which do not set this timer anew."""
        idle_s = time.perf_counter() - self._since
        if self.cycle.response_complete and idle_s >= self.timeout_keep_alive:
            super().timeout_keep_alive_handler()
        elif not self.transport.is_closing():
            again_s = max(self.timeout_keep_alive - idle_s, PATIENCE_S)
            self.timeout_keep_alive_task = self.loop.call_later(again_s, self.timeout_keep_alive_handler)

    @property
    def _may_begin(self) -> bool:
        """Whether a request would be answered at once, and not wait for its turn or for a slow reader."""
        return self._short and (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _may_be_cut_short(self) -> bool:
        return (
            self.url in KINDS
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not (self.expect_100_continue or self.parser.should_upgrade())
            and self._may_begin
        )

    def _begin(self, head: Head, body: bytes) -> None:
        self._head, self._since, deps = head, time.perf_counter(), self._deps
        self.cycle = self._cycle = Cycle(head.keep_alive)  # type: ignore[assignment]
        try:
            check_size(len(body), deps.settings.max_upload_bytes)
            if (digit := clean_digit(body)) is not None:
                self._ask(Seen(digit))
            elif (seen := deps.decoder.decode_at_once(content := one_image(body))) is not None:
                self._ask(seen)
            else:
                self._decoding = self.loop.create_task(self._decode(content))
        except Exception as error:
            self.loop.call_soon(self._fail, error)  # not in the middle of what httptools is parsing

    async def _decode(self, content: bytes) -> None:
        try:
            self._ask(await self._deps.decoder.decode(content, self._deps.settings.request_timeout_s))
        except Exception as error:
            self._fail(error)
        self._decoding = None

    def _ask(self, seen: Seen) -> None:
        self._group = self._deps.batcher.add([seen.digit], partial(self._on_prediction, seen.several))

    def _on_prediction(self, several: bool, answer: Answer[Prediction] | ServiceError) -> None:
        if isinstance(answer, ServiceError):
            self._fail(answer)
            return
        kind, prediction = self._head.kind, answer.values[0]
        if not kind.neighbors:
            self._reply(partial(kind.render, prediction, several), answer)
            return
        self._answer = answer
        try:
            self._group = self._deps.searcher.add([Query(prediction.embedding, kind.neighbors)], self._on_neighbors)
        except ServiceError as error:
            self._fail(error)

    def _on_neighbors(self, answer: Answer[list[Neighbor]] | ServiceError) -> None:
        if isinstance(answer, ServiceError):
            self._fail(answer)
        else:
            self._reply(partial(found, answer.values[0]), self._answer)

    def _reply(self, render: Callable[[str], bytes], answer: Answer[Prediction]) -> None:
        try:
            content = render(self._deps.model.name)
        except Exception as error:
            self._fail(error)
        else:
            lines = f"content-type: {self._head.kind.media_type}\r\nserver-timing: {answer.timing}\r\n"
            self._send(200, lines, content)

    def _fail(self, error: Exception) -> None:
        response = response_to(error) if isinstance(error, FAILURES) else unexpected(error)
        self._send(response.status_code, lines_of(response), bytes(response.body))
        self._deps.metrics.count_requests()

    def _send(self, status: int, lines: str, content: bytes) -> None:
        head, cycle, transport, now = self._head, self._cycle, self.transport, time.perf_counter()
        self._deps.metrics.note_request(head.kind.route, status, now - self._since)
        self._since, self._group = now, None
        if transport.is_closing():
            return
        if not cycle.keep_alive:
            lines += "connection: close\r\n"
        if self._renewed is not self.server_state.default_headers:
            ShortCutProtocol._renewed = self.server_state.default_headers
            ShortCutProtocol._lines = b"".join(b"%b: %b\r\n" % header for header in self._renewed)
        own = f"{lines}content-length: {len(content)}\r\n{REQUEST_ID}: {request_id(head.request_id)}\r\n\r\n"
        transport.write(b"".join((STATUS_LINE[status], self._lines, own.encode("latin-1"), content)))
        cycle.response_complete = True
        if not cycle.keep_alive:
            transport.close()
        if self.pipeline or self.timeout_keep_alive_task is None:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
