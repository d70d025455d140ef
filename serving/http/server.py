"""uvicorn's server, but for how connections are accepted and how it stops. Knows no route and no answer."""

import asyncio
import faulthandler
import logging
import math
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from serving.door import shut
from serving.http.front import Front
from serving.settings import Settings
from serving.workers import hangup_stops

logger = logging.getLogger("serving")

BACKLOG = 2048
"""Connections that the kernel completes before they are accepted; it may allow fewer (net.core.somaxconn)."""
PAUSE_S = 1.0
"""Wait after an error of `accept`: descriptors or memory have run out."""
SETTLE_S = 0.05
"""How long a connection that a client has begun may take to be complete when no more are begun."""
FAREWELL_S = 0.5
"""How long open connections may still send requests when the server stops; each answer says that it is the last."""
TICK_S = 0.02
LIMITS_PER_REQUEST = 3
"""A request may take one timeout to arrive, one to be decoded and one to be answered."""
STOP_GRACE_S = 5
"""How much longer than that the server waits for its last requests when it stops."""


def stop_timeout_s(settings: Settings) -> int:
    """How long the server waits for its last requests."""
    return math.ceil(LIMITS_PER_REQUEST * settings.request_timeout_s) + STOP_GRACE_S


def serve(
    app: ASGIApp, settings: Settings, listener: socket.socket, on_ready: Callable[[], None] | None = None
) -> None:
    """Runs until SIGTERM or SIGINT, and ends by the signal it got. Raises CannotListen.

    `on_ready` is for one of several processes that share the socket, whose parent stops them all.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,  # one form for all lines: serving/logs.py
        server_header=False,
        proxy_headers=False,  # the client's address is not used
        http=Front,
        ws="none",
        timeout_graceful_shutdown=stop_timeout_s(settings),
    )
    with suppress(KeyboardInterrupt):  # SIGINT, after all was answered
        Server(config, listener, on_ready, settings.hang_timeout_s).run()


class CannotListen(RuntimeError):
    """The address cannot be listened on."""


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket that does not listen yet; raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio looks for TCP to set TCP_NODELAY
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listener


class Acceptor:
    """Accepts connections, one a turn of the loop, so that several processes share those of one socket.

    asyncio's and uvloop's own loops lose connections: they reset what the kernel has queued when they close the socket,
    and uvloop closes without a word what it has no descriptors for.
    """

    def __init__(self, listener: socket.socket, new_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener = listener
        self._new_protocol = new_protocol
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Listens; raises CannotListen."""
        try:
            self._listener.listen(BACKLOG)
        except OSError as error:  # another process was faster: binding the address is allowed to both
            address = "{}:{}".format(*self._listener.getsockname())
            raise CannotListen(f"cannot listen on {address}: {error.strerror}") from error
        self._resume()

    async def stop(self) -> None:
        """Accepts what comes for a moment, and all that the kernel has queued, and closes the socket."""
        await asyncio.sleep(SETTLE_S)
        self._loop.remove_reader(self._listener)
        while self._accept():
            pass
        self._listener.close()
        if self._pause is not None:
            self._pause.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> bool:
        """Whether there was a connection, and it could be accepted."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another worker was faster, or the client has left
            return False
        except OSError as error:
            self._wait(error)
            return False
        connection.setblocking(False)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._new_protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._on_open)
        return True

    def _on_open(self, task: asyncio.Task[object]) -> None:
        self._opening.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.warning("a connection could not be opened: %s", error)

    def _wait(self, error: OSError) -> None:
        """Leaves connections in the kernel's queue for a while, where they wait rather than fail."""
        logger.error("no connection is accepted for %g s: %s", PAUSE_S, error.strerror)
        if self._pause is None:
            self._loop.remove_reader(self._listener)
            self._pause = self._loop.call_later(PAUSE_S, self._resume)


class Server(uvicorn.Server):
    """Serves one bound socket until SIGTERM or SIGINT, and loses no request whose head has arrived by then.

    SIGHUP, which uvicorn leaves to end the process, is ignored, unless it means that the terminal closes.

    Args:
        listener: bound; the server closes it.
        on_ready: called when connections are accepted; None where no other process shares the socket.
        hang_timeout_s: an event loop that makes no turn for so long, since some call does not return or does not give
            Python's lock back, ends the process with all threads' stacks on stderr and exit code 1.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        on_ready: Callable[[], None] | None,
        hang_timeout_s: float,
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._hang_timeout_s = hang_timeout_s
        self._on_ready = on_ready
        signal.signal(signal.SIGHUP, self.handle_exit if hangup_stops() else signal.SIG_IGN)

    def _new_protocol(self) -> asyncio.Protocol:
        protocol: type = self.config.http_protocol_class
        new: asyncio.Protocol = protocol(self.config, self.server_state, self.lifespan.state)
        return new

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn: starts the application, then accepts connections."""
        host, port = self._listener.getsockname()[:2]
        await super().startup(sockets or [])
        await self.on_tick(0)  # the first answer must have a date
        self._acceptor = Acceptor(self._listener, self._new_protocol)
        self._acceptor.start()
        logger.info("running on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        if self._on_ready is not None:
            self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """uvicorn: ten times a second."""
        if counter % 10 == 0:
            # Renewed each second. Its thread is written in C, and needs no lock of Python's to end the process.
            faulthandler.dump_traceback_later(1 + self._hang_timeout_s, exit=True)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn: accepts nothing more, tells clients so, and ends when all are answered."""
        if self._on_ready is None:
            shut(self._listener)
        await self._acceptor.stop()
        # A client that sends a request while its connection is being closed would lose it; so it is told before.
        self.config.encoded_headers.append((b"connection", b"close"))
        await self.on_tick(0)  # takes the headers over
        faulthandler.cancel_dump_traceback_later()  # from here on it does not tick
        deadline = time.monotonic() + FAREWELL_S
        while self.server_state.connections and time.monotonic() < deadline and not self.force_exit:
            await asyncio.sleep(TICK_S)
        await super().shutdown(sockets or [])
