"""The porter: one path from socket to answer for the busiest requests, and the way to the framework for all others.

A POST to one of the targets in `FORMATS` whose body is small and arrives at once is answered here, by the same service
and formats as FastAPI's routes; around each request ASGI takes longer than decoding, inference and answer together
(loadtest/README.md has the figures). All other requests pass on to uvicorn's own protocol, which is not modified. The
front stays in between: it reads every head, and hands over one request at a time.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serving.http.answers import EMBED, FORMATS, Format, embedding_format
from serving.http.gate import FRONT, REQUEST_ID, read_fields, request_id
from serving.http.heads import END, HeadReader, NotHTTP, RequestHead
from serving.http.passage import Passage
from serving.http.problems import reply_to, reply_with
from serving.http.replies import Reply
from serving.http.uploads import check_size, one_image
from serving.service import Answer, Request

PATIENCE_S = 0.1
"""How long the rest of a body may take before its request passes on, where the timeouts that are set hold."""
MAX_BODY = 65_536
"""Larger bodies pass on: what the front saves is nothing beside decoding them."""
MAX_HEAD = 32_768
"""Bytes of a head."""
MAX_WAITING = 65_536
"""Bytes behind a request under way from which on no more are read."""
CRLF = "\r\n"
DIRECT = "direct"
"""Key of the connection state: whether the front may answer by itself."""
STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Front(asyncio.Protocol):
    """One connection; the arguments are what uvicorn gives to the class in `Config(http=…)`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config, self._server, self._state = config, server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._service, self._metrics = app_state["service"], app_state["metrics"]
        self._max_bytes: int = app_state["settings"].max_upload_bytes
        self._heads = HeadReader()
        self._buffer = b""  # arrived, and not yet part of a request under way
        self._head: RequestHead | None = None  # of the request that arrives, or is under way
        self._format: Format | None = None  # in which the front itself answers it
        self._busy = False  # whether a request is under way
        self._last = False  # whether that is the connection's last one
        self._write_paused = False
        self._request: Request | None = None
        self._passage: Passage | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._since = time.perf_counter()  # when the request under way began, or the last one ended
        self._fields: Mapping[bytes, bytes] = {}  # that gates read of it
        self._default_headers: list[tuple[bytes, bytes]] = []
        self._default_lines = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio: a client is there."""
        self._transport = transport
        self._server.connections.add(self)  # type: ignore[arg-type]
        self._watch = self._loop.call_later(self._config.timeout_keep_alive, self._close_if_idle)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of one or more requests."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self._busy:
            self._advance()
        elif self._passage is not None and self._passage.receiving:
            self._buffer = self._passage.feed(self._buffer)
        elif len(self._buffer) > MAX_WAITING:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """asyncio: the client reads too slowly."""
        self._write_paused = True
        if self._passage is not None:
            self._passage.pause_writing()

    def resume_writing(self) -> None:
        """asyncio: it has caught up."""
        self._write_paused = False
        if self._passage is not None:
            self._passage.resume_writing()
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: nobody is there to be answered."""
        self._server.connections.discard(self)
        self._watch.cancel()
        self._cancel_patience()
        if self._request is not None:
            self._request.cancel()
        if self._passage is not None:
            self._passage.lose(exc)
        self._request = self._passage = None  # they refer to this connection

    def shutdown(self) -> None:
        """uvicorn: answer what has begun to arrive, and nothing more."""
        self._last = True
        if self._head is not None and not self._busy:
            self._pass_on(self._head)
        if not self._busy:
            self._transport.close()
        elif self._passage is not None and not self._passage.answered:
            self._passage.finish()

    def _advance(self) -> None:
        """Reads requests from the buffer until one is under way, or more bytes are needed."""
        while not (self._busy or self._write_paused or self._transport.is_closing()):
            if self._head is None and not self._read_head():
                return
            assert self._head is not None
            if self._format is None:
                self._pass_on(self._head)
            elif len(self._buffer) >= self._head.content_length:
                self._answer(self._head, self._format)
            else:
                if self._patience is None:  # many clients send head and body apart
                    self._patience = self._loop.call_later(PATIENCE_S, self._lose_patience)
                return

    def _read_head(self) -> bool:
        """Takes the next request's head from the buffer, unless it is incomplete or refused."""
        if self._buffer.startswith(b"\r\n"):  # RFC 9112, section 2.2
            self._buffer = self._buffer.lstrip(b"\r\n")
        end = self._buffer.find(END, 0, MAX_HEAD) + len(END)
        if end < len(END):
            if len(self._buffer) >= MAX_HEAD:
                self._refuse(reply_with(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"at most {MAX_HEAD:,} bytes"))
            return False
        try:
            head = self._heads.read(self._buffer[:end])
        except NotHTTP as error:
            self._refuse(reply_with(HTTPStatus.BAD_REQUEST, f"this is no HTTP/1.1: {error}"))
            return False
        self._head, self._buffer = head, self._buffer[end:]
        self._format = self._format_of(head)
        return True

    def _format_of(self, head: RequestHead) -> Format | None:
        """The format in which the front itself answers the request; None for one that passes on."""
        fmt = FORMATS.get(head.target)
        if fmt is None or head.method != b"POST" or head.version != "1.1" or not self._state[DIRECT]:
            return None
        return None if head.chunked or head.expects or head.content_length > MAX_BODY else fmt

    def _answer(self, head: RequestHead, fmt: Format) -> None:
        """Answers the request, whose body has arrived, at once or when the service calls back."""
        self._cancel_patience()
        body, self._buffer = self._buffer[: head.content_length], self._buffer[head.content_length :]
        self._heads.skip(body)
        self._busy, self._since, self._fields = True, time.perf_counter(), {}
        try:
            self._fields = read_fields(head.fields)
            if fmt is EMBED:
                self._format = fmt = embedding_format(self._fields.get(b"accept", b"").decode("latin-1"))
            check_size(len(body), self._max_bytes)
            self._request = self._service.ask(one_image(body), fmt.neighbors, partial(self._on_answer, fmt))
        except Exception as error:
            self._fail(error)

    def _on_answer(self, fmt: Format, answer: Answer | Exception) -> None:
        self._request = None
        try:
            if isinstance(answer, Exception):
                raise answer
            self._reply(fmt.reply(answer, self._service.model))
        except Exception as error:
            self._fail(error)
        self._advance()

    def _fail(self, error: Exception) -> None:
        self._reply(reply_to(error))
        self._metrics.count_requests()

    def _refuse(self, reply: Reply) -> None:
        """Answers what is no request; nothing behind it can be told apart."""
        self._last, self._fields, self._since = True, {}, time.perf_counter()
        self._reply(reply)
        self._metrics.count_requests()

    def _reply(self, reply: Reply) -> None:
        """Sends the answer to the request under way, and is ready for the next one."""
        now, head, fmt = time.perf_counter(), self._head, self._format
        self._metrics.note_request(fmt.route if fmt else "other", reply.status, now - self._since)
        last = self._last or head is None or not head.keep_alive
        self._busy, self._head, self._format, self._since = False, None, None, now
        if self._transport.is_closing():
            return
        if self._default_headers is not self._server.default_headers:  # uvicorn renews them once a second
            self._default_headers = self._server.default_headers
            self._default_lines = b"".join(b"%b: %b\r\n" % header for header in self._default_headers)
        lines = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
        own = (
            f"content-type: {reply.media_type}\r\n{lines}content-length: {len(reply.content)}\r\n"
            f"{REQUEST_ID}: {request_id(self._fields)}\r\n{'connection: close' + CRLF if last else ''}\r\n"
        )
        status = STATUS_LINES[reply.status]
        self._transport.write(b"".join((status, self._default_lines, own.encode("latin-1"), reply.content)))
        if last:
            self._transport.close()
        else:
            self._transport.resume_reading()

    def _pass_on(self, head: RequestHead) -> None:
        """Hands the request, and what has arrived of its body, to uvicorn."""
        self._cancel_patience()
        self._heads.renew()
        self._busy = True
        if self._passage is None or self._passage.lost:
            self._passage = Passage(self._transport, self._open_uvicorn, self._on_through)
        self._passage.begin(head)
        if self._last:
            self._passage.finish()
        self._buffer = self._passage.feed(self._buffer)

    def _open_uvicorn(self, on_response: Callable[[], None]) -> asyncio.Protocol:
        state = {**self._state, FRONT: on_response}
        return HttpToolsProtocol(self._config, self._server, state, self._loop)

    def _on_through(self) -> None:
        """A request that was passed on is answered."""
        self._busy, self._head, self._since = False, None, time.perf_counter()
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._loop.call_soon(self._advance)

    def _lose_patience(self) -> None:
        if self._head is not None and not self._busy:
            self._pass_on(self._head)

    def _cancel_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _close_if_idle(self) -> None:
        """Ends a connection on which nothing was asked for a while; one timer for all its requests."""
        left_s = self._since + self._config.timeout_keep_alive - time.perf_counter()
        if not self._busy and left_s <= 0:
            self._transport.close()
        else:
            self._watch = self._loop.call_later(max(left_s, PATIENCE_S), self._close_if_idle)
