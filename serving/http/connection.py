"""One connection: how many there may be, how long each may keep the service waiting, how fast it reads and writes.

`front.Front` reads the requests on it.
"""

import asyncio
import logging
import resource
import time
from http import HTTPStatus
from typing import Any

from uvicorn.server import ServerState

from serving.settings import Settings

MAX_WAITING = 65_536
"""Bytes behind a request under way, or answers not taken, from which on no more are read."""
IDLE_S = 0.5
"""How long a connection must have been idle to make room for another: a request may be on its way."""
TICK_S = 0.1
"""Shortest time between two looks at a connection."""
RESERVED = 64
"""Descriptors that the process needs for itself."""
logger = logging.getLogger("serving")


def most_connections(wanted: int) -> int:
    """So many, or as many as the process may have descriptors for, which it asks for as far as it is allowed to."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (wanted + RESERVED if limit == resource.RLIM_INFINITY else limit for limit in limits)
    needed = min(wanted + RESERVED, hard)
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, limits[1]))
    most = min(wanted, max(soft, needed) - RESERVED)
    if most < wanted:
        logger.warning("%d connections at once instead of %d: the process may open %d files", most, wanted, hard)
    return most


class Connection(asyncio.Protocol):
    """What every connection has, whatever is said on it.

    Args:
        server: uvicorn's; its set of connections are told of a stop.
        settings: the limits.
        most: connections at once; fewer than is set where descriptors are short.
    """

    def __init__(self, server: ServerState, settings: Settings, most: int, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self._loop, self._most = server, loop, most
        self._timeout_s = settings.client_timeout_s
        self._buffer = b""  # arrived, and not yet part of a request under way
        self._busy = False  # whether a request is under way
        self._half_closed = False  # whether the client sends nothing more
        self._read_paused = self._write_paused = False
        self._since = time.perf_counter()  # when the request under way began, or the client was last waited for

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio: a client is there."""
        self._transport = transport
        self._watch = self._loop.call_later(self._timeout_s, self._let_go_if_late)
        connections: set[Any] = self._server.connections
        if len(connections) >= self._most:  # uvicorn's own protocols count themselves too
            others = [one for one in connections if isinstance(one, Connection)]
            if len(others) >= self._most and not _make_room(others):
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"all of {self._most:,} connections are busy")
                return
        connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """asyncio: nobody is there to be answered."""
        self._server.connections.discard(self)
        self._watch.cancel()

    def eof_received(self) -> bool:
        """asyncio: the client sends nothing more; it may wait for answers (RFC 9112, section 9.6)."""
        self._half_closed = True
        self._advance()  # an answer may be just complete, with requests waiting behind it
        return (self._busy or self._write_paused) and (bool(self._buffer) or not self._receiving)

    def pause_writing(self) -> None:
        """asyncio: the client reads too slowly."""
        self._write_paused, self._since = True, time.perf_counter()

    def resume_writing(self) -> None:
        """asyncio: it has caught up."""
        self._write_paused, self._since = False, time.perf_counter()
        self._resume_reading()

    @property
    def _receiving(self) -> bool:
        """Whether the request under way has not arrived whole."""
        raise NotImplementedError

    def _advance(self) -> None:
        """Reads requests from the buffer until one is under way, or more bytes are needed."""
        raise NotImplementedError

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answers what is no request, and ends the connection."""
        raise NotImplementedError

    def _pause_reading(self) -> None:
        if len(self._buffer) > MAX_WAITING and (self._busy or self._write_paused):
            self._read_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and len(self._buffer) <= MAX_WAITING:
            self._read_paused = False
            self._transport.resume_reading()

    def _let_go_if_late(self) -> None:
        """Ends a connection whose client is waited for too long; one timer for all its requests."""
        left_s = self._since + self._timeout_s - time.perf_counter()
        stuck = self._write_paused or self._transport.is_closing()  # what is written may never be taken
        if left_s > 0 or (self._busy and not stuck):
            self._watch = self._loop.call_later(max(left_s, TICK_S), self._let_go_if_late)
        elif stuck:
            self._transport.abort()
        else:
            self._watch = self._loop.call_later(self._timeout_s, self._let_go_if_late)
            if self._buffer:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"the head did not arrive within {self._timeout_s} s")
            else:
                self._transport.close()


def _make_room(connections: list[Connection]) -> bool:
    """Ends the connection that has been idle longest; False where all are busy, or may just be about to be."""
    latest = time.perf_counter() - IDLE_S
    idle = [one for one in connections if not one._busy and one._since < latest]
    if idle:
        oldest = min(idle, key=lambda one: one._since)
        oldest._server.connections.discard(oldest)  # now: the next client may come before the loop has told of the end
        oldest._transport.abort()
    return bool(idle)
