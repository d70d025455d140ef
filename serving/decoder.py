"""Decodes uploads in the right place: clean ones where they arrive, all others in processes of their own.

A process decodes one file at a time, single images before the files of batches. It is replaced when a file ends it or
takes longer than a request may; nothing that a file holds can stop the service.
"""

import asyncio
import logging
from collections.abc import Sequence

from models.manifest import InputSpec
from models.pictures.errors import PictureError, UndecodableImage
from models.pictures.preparation import Found, preparation
from serving.decoder_process import DecoderProcess
from serving.decoder_queue import File, FileQueue
from serving.errors import AnswerTimeout, Draining, Failure, Overloaded

logger = logging.getLogger("serving")

WAITING_PER_PROCESS = 8
"""Single images that may wait for each process, and batches; every one of them is held in memory."""
CLEAN_AT_ONCE = 8
"""Clean files of a batch that are read before others get their turn: 1.5 ms each at worst, where libpng inflates a
thousand times the file."""
RETRY_S = 1.0
"""Seconds after which a process that could not be started is tried again."""


class Decoder:
    """Decoder processes, and the files that wait for them.

    Args:
        spec: the model's input.
        max_pixels: larger images are refused.
        timeout_s: seconds after which a caller gets AnswerTimeout, and after which a process that still decodes the
            same file is replaced.
        processes: how many files are decoded at once.
    """

    def __init__(self, spec: InputSpec, max_pixels: int, timeout_s: float, processes: int) -> None:
        self._spec, self._max_pixels, self._timeout_s = spec, max_pixels, timeout_s
        self._already_prepared = preparation(spec).already_prepared
        self._count = processes
        self._queue = FileQueue()
        self._batches = 0
        self._processes: set[DecoderProcess] = set()
        self._running = 0  # of them, those that are ready or decode
        self._start_failed = False
        self._starting = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def healthy(self) -> bool:
        """Whether files can be decoded: a process runs, or is on its way as far as is known."""
        return bool(self._tasks) and (self._running > 0 or not self._start_failed)

    def start(self) -> None:
        """Begins to start processes, one after the other; to be called inside the event loop."""
        loop = asyncio.get_running_loop()
        # The first of several takes no files of batches: a single image never waits for one of those.
        self._tasks = [loop.create_task(self._work(number > 0 or self._count == 1)) for number in range(self._count)]

    async def stop(self) -> None:
        """Ends the processes; what waits gets Draining."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for process in list(self._processes):  # whose task was stopped while it ended one
            await self._end(process)
        for file in (*self._queue.singles, *self._queue.batched):
            file.settle(Draining("the service stopped before the image was decoded"))

    def decode_here(self, content: bytes) -> Found | None:
        """A clean upload → what it shows, in some microseconds; None for one that needs a process."""
        pixels = self._already_prepared(content)
        return None if pixels is None else Found(pixels)

    async def decode(self, content: bytes) -> Found:
        """Any upload → what it shows. Raises PictureError, Overloaded, Draining or AnswerTimeout."""
        if (waiting := len(self._queue.singles)) >= self._count * WAITING_PER_PROCESS:
            raise Overloaded(f"{waiting} images wait to be decoded already; try again later")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._through(content, single=True)
        except TimeoutError:
            raise self._late() from None

    async def decode_many(self, contents: Sequence[bytes]) -> list[Found | PictureError]:
        """Uploads → for each what it shows, or what is wrong with it; one file after the other.

        Raises Overloaded, Draining or AnswerTimeout, which concern all of them.
        """
        if self._batches >= self._count * WAITING_PER_PROCESS:
            raise Overloaded(f"{self._batches} batches are being decoded already; try again later")
        self._batches += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                found = []
                for number, content in enumerate(contents):
                    if number % CLEAN_AT_ONCE == CLEAN_AT_ONCE - 1:
                        await asyncio.sleep(0)
                    found.append(await self._one_of_many(content))
                return found
        except TimeoutError:
            raise self._late() from None
        finally:
            self._batches -= 1

    async def _one_of_many(self, content: bytes) -> Found | PictureError:
        try:
            return self.decode_here(content) or await self._through(content, single=False)
        except PictureError as error:
            return error

    async def _through(self, content: bytes, single: bool) -> Found:
        if not self.healthy:
            raise Overloaded("no image can be decoded at the moment; try again later")
        file = File(content, single)
        self._queue.add(file)
        try:
            return await file.found
        except asyncio.CancelledError:
            self._queue.remove(file)
            raise

    async def _work(self, takes_batches: bool) -> None:
        """Keeps one process running, and gives it one file after the other."""
        while True:
            process = await self._started()
            self._running += 1
            try:
                while await self._decode(await self._queue.take(takes_batches), process):
                    pass
            finally:
                self._running -= 1
                await self._end(process)

    async def _started(self) -> DecoderProcess:
        """A process that is ready, after as many trials as it takes. One starts at a time: it is a core's work."""
        async with self._starting:
            while True:
                try:
                    process = await self._start_one()
                except (OSError, ValueError) as error:
                    if not self._start_failed:
                        logger.warning("no decoder process can be started: %s", error)
                    self._start_failed = True
                    await asyncio.sleep(RETRY_S)
                else:
                    self._start_failed = False
                    return process

    async def _start_one(self) -> DecoderProcess:
        process = DecoderProcess(self._spec, self._max_pixels)
        self._processes.add(process)
        try:
            await process.ready()
        except BaseException:
            await self._end(process)
            raise
        return process

    async def _end(self, process: DecoderProcess) -> None:
        await process.end()
        self._processes.discard(process)

    async def _decode(self, file: File, process: DecoderProcess) -> bool:
        """Has a file decoded, and returns whether the process can go on."""
        if process.child.poll() is not None:  # ended while it had nothing to do
            self._queue.put_back(file)
            return False
        outcome: Failure = Draining("the service stopped before the image was decoded")
        try:
            async with asyncio.timeout(self._timeout_s):
                file.settle(await process.decode(file.content))
                return True
        except TimeoutError:
            outcome = self._late()
        except (OSError, ValueError):
            outcome = UndecodableImage("decoding it takes longer than any real picture does, or ends the decoder")
        finally:
            file.settle(outcome)
        logger.warning("a decoder process is replaced after a file of %d bytes: %s", len(file.content), outcome)
        return False

    def _late(self) -> AnswerTimeout:
        return AnswerTimeout(f"the image was not decoded within {self._timeout_s} s")
