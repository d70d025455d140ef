"""The porter: one path from socket to answer for the busiest requests, and the way to the framework for all others.

A POST to one of the targets in `FORMATS` whose body is small and arrives at once is answered here, by the same service
and formats as FastAPI's routes; around each request ASGI takes longer than decoding, inference and answer together
(loadtest/README.md has the figures). All other requests pass on to uvicorn's own protocol, which is not modified. The
front stays in between: it reads every head, and hands over one request at a time.
"""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serving.http.answers import EMBED, FORMATS, Format, embedding_format
from serving.http.connection import Connection
from serving.http.gate import check_host, request_id
from serving.http.heads import ACCEPT, API_KEY, AUTHORIZATION, HOST, REQUEST_ID, HeadReader, NotServed, RequestHead
from serving.http.keys import Keys, bearer
from serving.http.passage import Drain, Passage
from serving.http.problems import reply_to, reply_with
from serving.http.replies import Reply
from serving.http.uploads import one_image
from serving.logs import log_failure
from serving.service import Answer, Request
from serving.settings import Settings

PATIENCE_S = 0.1
"""How long the rest of a body may take before its request passes on, where the timeouts that are set hold."""
MAX_BODY = 65_536
"""Larger bodies pass on: what the front saves is nothing beside decoding them."""
HOT: Mapping[bytes, Format] = {b"POST %b HTTP/1.1" % target: fmt for target, fmt in FORMATS.items()}
"""By the head's first line."""
DIRECT, MOST, DRAIN, KEYS = "direct", "most", "drain", "keys"
"""In the connection's state: whether the front answers by itself, most connections, the `Drain`, API keys or None."""


class Front(Connection):
    """The requests on one connection; the arguments are what uvicorn gives to the class in `Config(http=…)`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        settings: Settings = app_state["settings"]
        super().__init__(server_state, settings, app_state[MOST], _loop or asyncio.get_running_loop())
        self._config, self._state = config, app_state
        self._service, self._metrics = app_state["service"], app_state["metrics"]
        self._largest, self._hosts = min(MAX_BODY, settings.max_upload_bytes), settings.hosts
        self._direct: bool = app_state[DIRECT]
        self._drain: Drain = app_state[DRAIN]
        self._keys: Keys | None = app_state[KEYS]
        self._heads = HeadReader()
        self._head: RequestHead | None = None  # of the request that arrives, or is under way
        self._format: Format | None = None  # in which the front itself answers it
        self._last = False  # whether the request under way is the connection's last one
        self._request: Request | None = None
        self._passage: Passage | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._host_field = b"\0"  # as the last request that was answered here wrote it; no field is like this one
        self._id, self._default_lines = "", b""
        self._default_headers: list[tuple[bytes, bytes]] = []

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of one or more requests."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self._busy:
            self._advance()
        elif self._passage is not None and self._receiving:
            self._buffer = self._passage.feed(self._buffer)
        if self._buffer:
            self._pause_reading()

    def pause_writing(self) -> None:
        """asyncio: the client reads too slowly."""
        super().pause_writing()
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """asyncio: it has caught up."""
        super().resume_writing()
        if self._inner is not None:
            self._inner.resume_writing()
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: nobody is there to be answered."""
        super().connection_lost(exc)
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
        elif self._inner is not None:
            self._inner.shutdown()  # after this answer it closes the connection

    def _advance(self) -> None:
        """Reads requests from the buffer until one is under way, or more bytes are needed."""
        while not (self._busy or self._write_paused or self._transport.is_closing()):
            if self._head is None and not self._read_head():
                if self._half_closed:
                    self._transport.close()
                return
            assert self._head is not None
            if self._format is None:
                self._pass_on(self._head)
            elif len(self._buffer) >= (self._head.content_length or 0):
                self._answer(self._head, self._format)
            elif self._half_closed:
                self._transport.close()
            else:
                self._resume_reading()
                if self._patience is None:  # many clients send head and body apart
                    self._patience = self._loop.call_later(PATIENCE_S, self._pass_on, self._head)
                return

    def _read_head(self) -> bool:
        """Takes the next request's head from the buffer, unless it is incomplete or refused."""
        try:
            head, self._buffer = self._heads.take(self._buffer)
            if head is None:
                return False
            self._format = None
            if self._direct and 0 < (head.content_length or 0) <= self._largest and not head.expects:
                self._format = HOT.get(head.line)
            if self._format is None:
                head.check()
        except NotServed as error:
            self._refuse(error.status, str(error))
            return False
        self._head, self._since = head, time.perf_counter()
        return True

    def _answer(self, head: RequestHead, fmt: Format) -> None:
        """Answers the request, whose body has arrived, at once or when the service calls back."""
        if self._patience is not None:
            self._cancel_patience()
        body, self._buffer = self._buffer[: head.content_length], self._buffer[head.content_length :]
        self._heads.skip(body)
        self._busy, self._id = True, ""
        try:
            self._id = request_id(head.values(REQUEST_ID))
            if not head.has_only(HOST, self._host_field):
                hosts = head.values(HOST)
                check_host(hosts, self._hosts)
                self._host_field = b"%b %b\r" % (HOST, hosts[0].lower())
            if self._keys is not None:
                self._keys.check(head.values(API_KEY) or bearer(head.values(AUTHORIZATION)))
            if fmt is EMBED:
                self._format = fmt = embedding_format(b", ".join(head.values(ACCEPT)).decode("latin-1"))
            fmt.check(self._service.model)
            self._request = self._service.ask(one_image(body), fmt.wanted, self._on_answer)
        except Exception as error:
            self._fail(error)

    def _on_answer(self, answer: Answer | Exception) -> None:
        self._request = None
        assert self._format is not None
        try:
            if isinstance(answer, Exception):
                raise answer
            self._reply(self._format.reply(answer, self._service.model))
        except Exception as error:
            self._fail(error)
        if self._buffer or self._half_closed:
            self._advance()

    def _fail(self, error: Exception) -> None:
        self._id = self._id or request_id(())
        self._reply(reply_to(error, self._id))
        self._metrics.count_requests()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answers what is no request, and ends the connection: nothing behind it can be told apart."""
        self._last, self._id, self._since = True, request_id(()), time.perf_counter()
        log_failure(status, detail, self._id)
        self._reply(reply_with(status, detail))
        self._metrics.count_requests()

    def _reply(self, reply: Reply) -> None:
        """Sends the answer to the request under way, and is ready for the next one."""
        now, head, route = time.perf_counter(), self._head, self._format.route if self._format else "other"
        self._metrics.note_request(route, reply.status, now - self._since)
        last = self._last or head is None or not head.keep_alive
        self._busy, self._head, self._format, self._since = False, None, None, now
        if self._transport.is_closing():
            return
        if self._default_headers is not self._server.default_headers:  # uvicorn renews them once a second
            self._default_headers = self._server.default_headers
            self._default_lines = b"".join(b"%b: %b\r\n" % header for header in self._default_headers)
        self._transport.write(reply.message(self._default_lines, self._id, last))
        if last:
            self._transport.close()
        elif self._read_paused:
            self._resume_reading()

    def _pass_on(self, head: RequestHead) -> None:
        """Hands the request, and what has arrived of its body, to uvicorn."""
        self._cancel_patience()
        self._heads.renew()
        self._busy = True
        if self._passage is None or self._passage.lost:
            uvicorn = partial(HttpToolsProtocol, self._config, self._server, self._state, self._loop)
            self._passage = Passage(self._transport, self._loop, self._drain, uvicorn, self._on_through, self._on_room)
        arrived, self._buffer = self._buffer, b""
        self._resume_reading()  # first: from here on uvicorn may pause it for the body
        self._passage.begin(head)
        self._buffer = self._passage.feed(arrived)
        self._pause_reading()
        if self._half_closed and self._receiving:
            self._transport.close()

    @property
    def _receiving(self) -> bool:
        return self._passage is not None and self._passage.receiving

    @property
    def _inner(self) -> Any:
        """uvicorn's protocol, while it is needed."""
        return None if self._passage is None else self._passage.protocol

    def _on_room(self) -> None:
        """The passage takes more of a body."""
        if self._receiving and self._passage is not None:
            self._buffer = self._passage.feed(self._buffer)
            self._resume_reading()
            if self._half_closed and self._receiving and not self._buffer:
                self._transport.close()

    def _on_through(self) -> None:
        """A request that was passed on is answered."""
        self._busy, self._head, self._since = False, None, time.perf_counter()
        if self._passage is not None and self._passage.broken:
            self._transport.close()
        elif not self._transport.is_closing():
            self._resume_reading()
            self._loop.call_soon(self._advance)

    def _cancel_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
