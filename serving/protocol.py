"""A short cut from socket to answer for the busiest requests: uvicorn's own protocol, without ASGI around each of them.

A POST to one of `SHORT_CUTS` whose body is small and arrives at once is answered here, by the same functions that
FastAPI's routes call. Everything else goes uvicorn's ordinary way.
FastAPI's stack and uvicorn's handling of a request take longer than decoding, inference and answer together
(loadtest/README.md has the figures).

Relies on how uvicorn's protocol works inside, hence the bounds on its version in pyproject.toml.
"""

import asyncio
import time
from typing import Any, ClassVar

from fastapi import FastAPI, Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.answers import SHORT_CUTS, Services
from serving.errors import ServiceError, response_to, unexpected
from serving.middleware import REQUEST_ID, request_id

PATIENCE_S = 0.1
"""How long the rest of a body may take before its request goes the ordinary way, with the timeouts that are set."""
MAX_BODY = 65_536
"""Larger bodies go the ordinary way: what is saved is nothing beside decoding them."""


class _Cycle:
    """What uvicorn's protocol asks of the request that it is working on."""

    message_event = asyncio.Event()
    """Set when the connection is lost; nobody waits for it."""

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False


class ShortCutProtocol(HttpToolsProtocol):
    """One connection."""

    _parts: list[bytes] | None = None
    """What has arrived of a body whose request may be cut short."""
    _room: int = 0
    """How many more bytes of it are waited for."""
    _patience: asyncio.TimerHandle | None = None
    _answering: "asyncio.Task[None] | None" = None
    _renewed: ClassVar[list[tuple[bytes, bytes]]] = []
    _lines: ClassVar[bytes] = b""

    def on_headers_complete(self) -> None:
        """httptools: the request is known, its body is not."""
        if self._may_be_cut_short():
            self._parts, self._room = [], MAX_BODY
        else:
            super().on_headers_complete()

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
        if self._parts is None:
            super().on_message_complete()
            return
        body = b"".join(self._take_parts())
        cycle = _Cycle(self.parser.should_keep_alive())
        self.cycle = cycle  # type: ignore[assignment]
        self._answering = self.loop.create_task(self._answer(cycle, self.url, body, dict(self.headers)))

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of one or more requests."""
        super().data_received(data)
        if self._parts is not None and self._patience is None:  # many clients send headers and body apart
            self._patience = self.loop.call_later(PATIENCE_S, self._hand_over)

    def _hand_over(self) -> None:
        """Leaves a request whose body is slow or large to uvicorn, before it is complete."""
        parts = self._take_parts()
        super().on_headers_complete()
        for part in parts:
            super().on_body(part)

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
        if self._answering is not None:
            self._answering.cancel()
        super().connection_lost(exc)

    def _may_be_cut_short(self) -> bool:
        return (
            self.url in SHORT_CUTS
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and (self.cycle is None or self.cycle.response_complete)  # else it must wait its turn
            and not (self.expect_100_continue or self.parser.should_upgrade() or self.flow.write_paused)
            and isinstance(self.app, FastAPI)
        )

    async def _answer(self, cycle: _Cycle, url: bytes, body: bytes, headers: dict[bytes, bytes]) -> None:
        started = time.perf_counter()
        deps: Services = self.app.state.services
        status, own_headers = 200, ""
        try:
            content, timing, media_type = await SHORT_CUTS[url](body, headers, deps)
            own_headers = f"content-type: {media_type}\r\nserver-timing: {timing}\r\n"
        except ServiceError as error:
            status, own_headers, content = _parts_of(response_to(error))
        except Exception as error:
            status, own_headers, content = _parts_of(unexpected(error))
        if not cycle.keep_alive:
            own_headers += "connection: close\r\n"
        number = request_id(headers.get(b"x-request-id"))
        head = f"{own_headers}content-length: {len(content)}\r\n{REQUEST_ID}: {number}\r\n\r\n".encode("latin-1")
        deps.metrics.observe_request(url.partition(b"?")[0].decode(), status, time.perf_counter() - started)
        self._answering = None
        if self.transport.is_closing():
            return
        self.transport.write(b"".join((STATUS_LINE[status], self._default_lines(), head, content)))
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _default_lines(self) -> bytes:
        """The header lines that uvicorn renews once a second."""
        headers = self.server_state.default_headers
        if ShortCutProtocol._renewed is not headers:
            ShortCutProtocol._renewed = headers
            ShortCutProtocol._lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._lines


def _parts_of(response: Response) -> tuple[int, str, bytes]:
    """Status, header lines but the length, and content."""
    headers: dict[str, Any] = dict(response.headers)
    del headers["content-length"]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return response.status_code, lines, bytes(response.body)
