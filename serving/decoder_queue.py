"""The files that wait for a decoder process, and which one is next. Knows neither processes nor formats."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from models.pictures.errors import PictureError
from models.pictures.preparation import Found
from serving.errors import ServiceError


@dataclass(eq=False, slots=True)
class File:
    """One file on its way through a process."""

    content: bytes
    single: bool
    """Whether it is a request by itself, or one of a batch."""
    found: asyncio.Future[Found] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, result: Found | PictureError | ServiceError) -> None:
        """Tells the caller, unless it has been told or has left."""
        if self.found.done():
            return
        if isinstance(result, Found):
            self.found.set_result(result)
        else:
            self.found.set_exception(result)


class FileQueue:
    """Single images, in order of arrival, before the files of batches."""

    def __init__(self) -> None:
        self.singles: deque[File] = deque()
        self.batched: deque[File] = deque()
        self._idle: dict[bool, deque[asyncio.Future[None]]] = {False: deque(), True: deque()}

    def add(self, file: File) -> None:
        """Puts a file at the end, and wakes one who may take it."""
        (self.singles if file.single else self.batched).append(file)
        self._wake(file)

    def put_back(self, file: File) -> None:
        """Puts a file that was taken at the front again, for another: whoever took it needs a new process first."""
        (self.singles if file.single else self.batched).appendleft(file)
        self._wake(file)

    def _wake(self, file: File) -> None:
        for takes_batches in (False, True) if file.single else (True,):
            if self._idle[takes_batches]:
                self._idle[takes_batches].popleft().set_result(None)
                return

    def remove(self, file: File) -> None:
        """Nobody waits for this file any more, which may have been taken already."""
        with suppress(ValueError):
            (self.singles if file.single else self.batched).remove(file)

    async def take(self, takes_batches: bool) -> File:
        """The next file; without `takes_batches` the next single image."""
        while not (queue := self.singles or (self.batched if takes_batches else None)):
            idle = asyncio.get_running_loop().create_future()
            self._idle[takes_batches].append(idle)
            await idle
        return queue.popleft()
