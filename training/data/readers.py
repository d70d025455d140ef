"""Processes that read and decode files side by side; one that a file ends is replaced, and the file named.

Their program is `child`.
"""

import hashlib
import os
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.manifest import InputSpec
from training.data import child
from training.data.collection import reader
from training.data.errors import DataError
from training.data.info import KNOWN, FileInfo, unread

CODE = Path(__file__).parents[2]
PROGRAM = child.__name__
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
WHY = {
    signal.SIGPROF: f"decoding it takes more than {child.MAX_CPU_S:g} s of processor time",
    signal.SIGALRM: f"reading it takes more than {child.MAX_WALL_S:g} s",
    signal.SIGKILL: "the system ended its decoder, as it does when memory is short",
}
PASSING = (signal.SIGKILL, signal.SIGALRM)
"""What may be otherwise the next time."""


class Seen(NamedTuple):
    """What became of one file."""

    info: FileInfo
    rows: list[NDArray[np.uint8]]
    """What each spec sees of it; none of a bad or known file."""
    lasting: bool = True
    """Whether it would be the same the next time."""

    @property
    def known(self) -> bool:
        """Whether its content is among those that need not be decoded again."""
        return self.info.error == KNOWN


class Ended(Exception):
    """A process ended; `why` says what that tells of the file it was reading."""

    def __init__(self, code: int) -> None:
        self.signal = signal.Signals(-code) if code < 0 else None
        name = self.signal.name if self.signal else f"exit code {code}"
        crashed = f"its decoder crashed ({name})"
        self.why = WHY.get(self.signal, crashed) if self.signal else crashed
        super().__init__(self.why)


class Order(NamedTuple):
    """What a process is to do with each file."""

    root: Path
    specs: Sequence[InputSpec]
    known: bytes
    """Digests of contents not to be decoded, one behind the other."""


class Process:
    """One child."""

    def __init__(self, order: Order) -> None:
        self._specs = order.specs
        self._child = subprocess.Popen(
            [sys.executable, "-m", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries write about damaged files there
            cwd=CODE,
            env=os.environ | ONE_THREAD,
            process_group=0,  # Ctrl-C is for the training, which ends its processes itself
        )
        assert self._child.stdin
        assert self._child.stdout
        self._files, self._replies = self._child.stdin, self._child.stdout
        root = os.fsencode(order.root.resolve()).hex()
        specs = [asdict(spec) for spec in order.specs]
        try:
            child.send(self._files, {"root": root, "specs": specs, "known": len(order.known)}, order.known)
            started = child.receive(self._replies)
        except OSError:
            started = None
        if started != {}:
            self.end()
            if started:
                raise DataError(started["error"])
            raise RuntimeError(f"a process that decodes does not start: {Ended(self._child.wait()).why}")

    def ask(self, keys: Sequence[str]) -> list[Seen]:
        """What these files are; raises Ended."""
        try:
            child.send(self._files, keys)
            infos = child.receive(self._replies)
            return [self._seen(info) for info in infos]
        except (OSError, EOFError, ValueError, TypeError):  # no reply, or only the beginning of one
            raise Ended(self._child.wait()) from None

    def _seen(self, fields: dict[str, Any]) -> Seen:
        info = FileInfo(**{**fields, **{name: bytes.fromhex(fields[name]) for name in ("digest", "pixels")}})
        return Seen(info, [self._row(spec) for spec in self._specs] if info.good else [])

    def _row(self, spec: InputSpec) -> NDArray[np.uint8]:
        shape = row_shape(spec)
        content = self._replies.read(int(np.prod(shape)))
        if len(content) < int(np.prod(shape)):
            raise EOFError
        return np.frombuffer(content, np.uint8).reshape(shape)

    def end(self) -> None:
        """Kills it and waits until it is gone."""
        self._child.kill()
        self._child.wait()
        for stream in (self._files, self._replies):
            with suppress(OSError):  # what it did not take
                stream.close()

    def kill(self) -> None:
        """Ends it from another thread than the one that asks it."""
        self._child.kill()


def row_shape(spec: InputSpec) -> tuple[int, ...]:
    """(height, width), or (height, width, 3)."""
    return (spec.height, spec.width, *((spec.channels,) if spec.channels > 1 else ()))


class Readers:
    """Some processes with one order; a context."""

    def __init__(self, order: Order, count: int | None = None) -> None:
        self._order, self._count = order, count or processes()
        self._idle = queue.SimpleQueue[Process]()
        self._all: list[Process] = []
        self._closed = False
        self._threads = ThreadPoolExecutor(self._count, "reader")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        for process in list(self._all):
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._all:
            process.end()

    def read(self, chunks: Iterable[Sequence[str]]) -> Iterator[list[Seen]]:
        """What the files of each chunk of keys are, in this order; few chunks are ahead of what has been taken."""
        ahead = deque[Future[list[Seen]]]()
        for chunk in chunks:
            ahead.append(self._threads.submit(self._look, chunk))
            if len(ahead) > 2 * self._count:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _look(self, keys: Sequence[str]) -> list[Seen]:
        """Where a process ends, each file of the chunk is read alone, so that the one that ended it is known."""
        try:
            return self._ask(keys)
        except Ended as ended:
            if self._closed:
                raise
            if len(keys) > 1:
                return [seen for key in keys for seen in self._look([key])]
            return [Seen(self._lost(keys[0], ended.why), [], ended.signal not in PASSING)]

    def _ask(self, keys: Sequence[str]) -> list[Seen]:
        try:
            process = self._idle.get_nowait()
        except queue.Empty:
            process = Process(self._order)
            self._all.append(process)
        try:
            seen = process.ask(keys)
        except Ended:
            self._all.remove(process)
            process.end()
            raise
        self._idle.put(process)
        return seen

    def _lost(self, key: str, why: str) -> FileInfo:
        """A file that ended its process; reading it without decoding does no harm."""
        try:
            content = reader(self._order.root)(key)
        except DataError as error:
            return unread(str(error))
        return unread(why, hashlib.sha256(content).digest(), len(content))


def processes() -> int:
    """One a core, but no more than the machine has memory for if each gets the largest picture."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, memory // (child.MAX_PIXELS * child.BYTES_PER_PIXEL)))
