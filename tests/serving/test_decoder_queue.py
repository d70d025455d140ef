"""Which file is decoded next, how many may wait, and who is told: on processes that do as they are told."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from models.manifest import InputSpec
from models.pictures.errors import PictureError, UndecodableImage
from models.pictures.preparation import DIGIT_INPUT, Found
from serving import decoder as room
from serving.decoder import WAITING_PER_PROCESS, Decoder
from serving.decoder_queue import File, FileQueue
from serving.errors import AnswerTimeout, Draining, Overloaded
from tests.conftest import Digits
from tests.pictures.uploads import encoded

FOUND = Found(np.zeros((2, 2), np.uint8))
Scenario = Callable[[Decoder], Awaitable[None]]


class Child:
    def poll(self) -> None:
        return None


class Process:
    """Decodes nothing; holds each file until it is let go."""

    taken: list[bytes]
    released: asyncio.Semaphore
    ended: int

    def __init__(self, spec: InputSpec, max_pixels: int) -> None:
        self.child = Child()

    async def ready(self) -> None:
        pass

    async def decode(self, content: bytes) -> Found | PictureError:
        Process.taken.append(content)
        await Process.released.acquire()
        return UndecodableImage("bad") if content == b"bad" else FOUND

    async def end(self) -> None:
        Process.ended += 1


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> None:
    Process.taken, Process.released, Process.ended = [], asyncio.Semaphore(0), 0
    monkeypatch.setattr(room, "DecoderProcess", Process)


def with_decoder(scenario: Scenario, timeout_s: float = 30, processes: int = 1) -> None:
    async def run() -> None:
        decoder = Decoder(DIGIT_INPUT, 1000, timeout_s, processes)
        decoder.start()
        try:
            await scenario(decoder)
        finally:
            await decoder.stop()

    asyncio.run(run())


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_single_images_go_before_the_files_of_batches() -> None:
    async def scenario(decoder: Decoder) -> None:
        batches = [asyncio.create_task(decoder.decode_many([name + b"1", name + b"2"])) for name in (b"a", b"b")]
        await settled()
        single = asyncio.create_task(decoder.decode(b"single"))
        for _ in range(5):
            await settled()
            Process.released.release()
        assert await single is FOUND
        assert await asyncio.gather(*batches) == [[FOUND, FOUND]] * 2
        assert Process.taken == [b"a1", b"single", b"b1", b"a2", b"b2"]

    with_decoder(scenario)


def test_files_of_batches_leave_a_process_to_single_images() -> None:
    async def scenario(decoder: Decoder) -> None:
        batches = [asyncio.create_task(decoder.decode_many([name])) for name in (b"a", b"b", b"c")]
        await settled()
        assert Process.taken == [b"a", b"b"]
        singles = [asyncio.create_task(decoder.decode(b"single")) for _ in range(2)]
        await settled()
        assert Process.taken == [b"a", b"b", b"single"]
        for _ in range(5):
            Process.released.release()
        await asyncio.gather(*batches, *singles)

    with_decoder(scenario, processes=3)


def test_a_bad_file_keeps_its_place_in_the_batch() -> None:
    async def scenario(decoder: Decoder) -> None:
        Process.released = asyncio.Semaphore(3)
        first, bad, last = await decoder.decode_many([b"a", b"bad", b"b"])
        assert first is last is FOUND
        assert isinstance(bad, UndecodableImage)

    with_decoder(scenario, processes=2)


def test_a_batch_of_clean_files_lets_others_have_their_turn(digits: Digits) -> None:
    async def scenario(decoder: Decoder) -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        found = await decoder.decode_many([encoded(image) for image in digits[0][:64]])
        task.cancel()
        assert all(isinstance(one, Found) for one in found)
        assert turns >= 7
        assert not Process.taken

    with_decoder(scenario)


def test_more_than_may_wait_are_refused() -> None:
    async def scenario(decoder: Decoder) -> None:
        running = [asyncio.create_task(decoder.decode(b"running")) for _ in range(2)]
        await settled()
        waiting = [asyncio.create_task(decoder.decode(b"waiting")) for _ in range(2 * WAITING_PER_PROCESS)]
        batches = [asyncio.create_task(decoder.decode_many([b"file"])) for _ in range(2 * WAITING_PER_PROCESS)]
        await settled()
        for refused in (decoder.decode(b"more"), decoder.decode_many([b"more"])):
            with pytest.raises(Overloaded, match="already"):
                await refused
        waiting.pop().cancel()  # its place is free
        await settled()
        waiting.append(asyncio.create_task(decoder.decode(b"late")))
        for _ in range(40):
            Process.released.release()
        await asyncio.gather(*running, *waiting, *batches)
        assert Process.taken.count(b"late") == 1
        assert Process.taken.count(b"waiting") == 2 * WAITING_PER_PROCESS - 1
        assert b"more" not in Process.taken

    with_decoder(scenario, processes=2)


@pytest.mark.parametrize("leaves", [True, False])
def test_a_batch_stops_between_files_when_nobody_waits_for_it(leaves: bool) -> None:
    async def scenario(decoder: Decoder) -> None:
        batch = asyncio.create_task(decoder.decode_many([b"1", b"2", b"3"]))
        await settled()
        if leaves:
            batch.cancel()
        with pytest.raises(asyncio.CancelledError if leaves else AnswerTimeout):
            await batch
        Process.released.release()
        await settled()
        assert Process.taken == [b"1"]

    with_decoder(scenario, timeout_s=30 if leaves else 0.05)


def test_a_caller_who_leaves_costs_no_process() -> None:
    """Its file is decoded to the end: otherwise leaving would be a way to keep processes starting."""

    async def scenario(decoder: Decoder) -> None:
        for _ in range(5):
            caller = asyncio.create_task(decoder.decode(b"left"))
            await settled()
            caller.cancel()
            await settled()
            Process.released.release()
        Process.released.release()
        assert await decoder.decode(b"next") is FOUND
        assert Process.ended == 0

    with_decoder(scenario)


def test_what_waits_at_the_stop_is_told() -> None:
    callers: list[asyncio.Task[Found]] = []

    async def scenario(decoder: Decoder) -> None:
        callers.extend(asyncio.create_task(decoder.decode(b"waits")) for _ in range(3))
        await settled()
        await decoder.stop()
        for caller in callers:
            with pytest.raises(Draining):
                await caller
        with pytest.raises(Overloaded):
            await decoder.decode(b"after")
        assert Process.ended == 1

    with_decoder(scenario)


def test_a_file_that_is_put_back_goes_to_another_process() -> None:
    """The one that took it has ended, and starting the next takes a second at best."""

    async def scenario() -> None:
        queue = FileQueue()
        first, other = (asyncio.create_task(queue.take(takes)) for takes in (False, True))
        await asyncio.sleep(0)
        queue.add(file := File(b"", single=True))
        queue.put_back(await first)
        assert await asyncio.wait_for(other, 1) is file

    asyncio.run(scenario())
