"""Several processes that serve one socket: starts them, replaces those that end, and stops them. Knows no framework."""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait

from serving.door import shut

logger = logging.getLogger("serving")

Work = Callable[[socket.socket, Callable[[], None]], None]
"""Serves the socket until SIGTERM, and calls back once it does; importable, since it runs in a process of its own."""
RETRY_S = 2.0
"""From the end of a worker that could not start until the next attempt."""
CHECK_S = 0.5
"""How often deadlines are looked at; the ends of workers, and signals, are noticed at once."""
_SPAWN = multiprocessing.get_context("spawn")


class StartupFailure(RuntimeError):
    """No worker could start; the log says why."""


def hangup_stops() -> bool:
    """Whether SIGHUP means that the terminal closes, and not that somebody asks for new workers."""
    return sys.stdin is not None and sys.stdin.isatty()


class Worker:
    """One process.

    Args:
        work: what it runs.
        listener: bound; the worker gets a copy.
    """

    def __init__(self, work: Work, listener: socket.socket) -> None:
        self._news, told = _SPAWN.Pipe(duplex=False)
        self._stopped_at: float | None = None
        self.ready = False
        """Whether it has begun to serve."""
        self._process = _SPAWN.Process(target=_run, args=(work, listener, told))
        self._process.start()
        told.close()

    @property
    def awaited(self) -> list[int | Connection]:
        """What `multiprocessing.connection.wait` is to wait for: its end, and that it is ready."""
        return [self._process.sentinel] if self.ready else [self._process.sentinel, self._news]

    def look(self) -> bool:
        """Whether it is alive; notices whether it is ready."""
        if not self.ready and self._news.poll():
            with suppress(EOFError):  # it is ending
                self.ready = self._news.recv()
        return self._process.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stopped_at is not None

    def stop(self) -> None:
        """Lets it answer what it has accepted, and end."""
        if not self.stopping:
            self._stopped_at = time.monotonic()
            self._process.terminate()

    def kill_after(self, seconds: float) -> None:
        """Ends it at once when it was told to stop so long ago."""
        if self._stopped_at is not None and time.monotonic() - self._stopped_at > seconds:
            logger.error("worker %s does not stop within %g s: killed", self, seconds)
            self._process.kill()

    def __str__(self) -> str:
        return str(self._process.pid)

    def close(self) -> str:
        """Frees what is left of an ended worker; gives its exit code."""
        code = self._process.exitcode
        self._news.close()
        self._process.close()
        return f"exit code {code}"


class Workers:
    """Keeps `count` workers until SIGTERM or SIGINT; SIGHUP replaces each of them, the new one first.

    Args:
        work: what each of them runs.
        listener: bound; closed first of all when stopping, so that the last worker's copy is the last one.
        stop_timeout_s: a worker that takes longer to stop is killed.
    """

    def __init__(self, work: Work, listener: socket.socket, count: int, stop_timeout_s: float) -> None:
        self._work = work
        self._listener = listener
        self._count = count
        self._stop_timeout_s = stop_timeout_s
        self._workers: list[Worker] = []
        self._outdated: list[Worker] = []
        self._retry_at = 0.0
        self._stopping = self._failed = False

    def run(self) -> None:
        """Until all workers have ended after a signal. Raises StartupFailure."""
        with _received_signals() as signals:
            while self._workers or not self._stopping:
                self._start_missing()
                wait([signals, *(one for worker in self._workers for one in worker.awaited)], CHECK_S)
                for number in _read(signals):
                    self._on_signal(number)
                for worker in list(self._workers):
                    if not worker.look():
                        self._on_end(worker)
                    worker.kill_after(self._stop_timeout_s)
                self._stop_outdated()
        if self._failed:
            raise StartupFailure("no worker could start; the lines above say why")

    def _serving(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.ready and not worker.stopping]

    def _start_missing(self) -> None:
        if self._stopping or time.monotonic() < self._retry_at:
            return
        there = sum(not worker.stopping for worker in self._workers)
        for _ in range(self._count + bool(self._outdated) - there):
            self._workers.append(Worker(self._work, self._listener))

    def _stop_outdated(self) -> None:
        if self._outdated and len(self._serving()) > self._count:
            self._outdated.pop(0).stop()

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGHUP and not hangup_stops():
            logger.info("SIGHUP: each worker is replaced by a new one")
            self._outdated = self._serving()
        else:
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        if self._listener.fileno() >= 0:
            shut(self._listener)
        self._listener.close()
        for worker in self._workers:
            worker.stop()

    def _on_end(self, worker: Worker) -> None:
        self._workers.remove(worker)
        self._outdated = [other for other in self._outdated if other is not worker]
        name, code = str(worker), worker.close()
        if worker.stopping:
            return
        if worker.ready:
            logger.error("worker %s ended with %s: another is started", name, code)
        elif self._serving():
            logger.error("worker %s could not start (%s): the others go on; next attempt in %g s", name, code, RETRY_S)
            self._retry_at, self._outdated = time.monotonic() + RETRY_S, []
        else:
            logger.error("worker %s could not start (%s)", name, code)
            self._failed = True
            self._stop()


def _run(work: Work, listener: socket.socket, told: Connection) -> None:
    """The process of a worker."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # is for the parent
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    work(listener, lambda: told.send(True))


def _stop_with_parent() -> None:
    """Ends this process in order when its parent was killed, and so can neither stop nor replace it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _received_signals() -> Iterator[socket.socket]:
    """A socket from which the numbers of the signals can be read, a byte each."""
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(writer.fileno())
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(-1)


def _read(signals: socket.socket) -> bytes:
    try:
        return signals.recv(64)
    except BlockingIOError:
        return b""
