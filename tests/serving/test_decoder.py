"""Real decoder processes, and files that end them, hold them or take too much."""

import asyncio
import logging
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from models.manifest import InputSpec
from models.pictures.decode import open_image
from models.pictures.errors import NotAnImage, TooLarge, UndecodableImage
from models.pictures.preparation import DIGIT_INPUT, Found, preparation
from serving import decoder as room
from serving.decoder import Decoder
from serving.decoder_process import DecoderProcess
from serving.errors import AnswerTimeout, Overloaded
from tests.conftest import ROOT, Digits
from tests.pictures.uploads import encoded, enlarged, png_header

PIXELS = 1_000_000
Started = list[DecoderProcess]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """The processes in the order of their start."""
    processes: Started = []

    def start(spec: InputSpec, max_pixels: int) -> DecoderProcess:
        processes.append(DecoderProcess(spec, max_pixels))
        return processes[-1]

    monkeypatch.setattr(room, "DecoderProcess", start)
    return processes


def with_decoder(
    scenario: Callable[[Decoder], Awaitable[None]],
    timeout_s: float = 30,
    processes: int = 1,
    spec: InputSpec = DIGIT_INPUT,
) -> None:
    async def run() -> None:
        decoder = Decoder(spec, PIXELS, timeout_s, processes)
        decoder.start()
        try:
            await scenario(decoder)
        finally:
            await decoder.stop()
        assert not decoder.healthy

    asyncio.run(run())


async def warm(decoder: Decoder) -> None:
    """Until the first process takes files, however busy the machine."""
    while not decoder._running:
        await asyncio.sleep(0.01)


def test_processes_answer_as_the_code_that_they_run(digits: Digits, started: Started) -> None:
    kinds = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
    uploads = [encoded(enlarged(image, 5).convert("RGB"), kind) for image, kind in zip(digits[0], kinds, strict=False)]
    pair = np.hstack([np.asarray(enlarged(digits[0][0])), np.asarray(enlarged(digits[0][1]))])
    uploads.append(encoded(pair))

    async def scenario(decoder: Decoder) -> None:
        assert decoder.healthy
        found = await asyncio.gather(*(decoder.decode(upload) for upload in uploads))
        for one, upload in zip(found, uploads, strict=True):
            expected = preparation(DIGIT_INPUT).prepare(open_image(upload, PIXELS))
            np.testing.assert_array_equal(one.pixels, expected.pixels)
            assert one.several == expected.several

    with_decoder(scenario, processes=2)
    assert len(started) <= 2
    assert all(process.child.returncode for process in started)


@pytest.mark.parametrize("shape", [(8, 8, 3), (30, 20, 1), (224, 224, 3)])
def test_processes_make_inputs_of_any_shape(started: Started, shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(0)
    spec = InputSpec("crop", *shape)
    pictures = [random.integers(0, 256, (300, 400, *colours), dtype=np.uint8) for colours in ((), (3,))]
    uploads = [encoded(picture) for picture in pictures]

    async def scenario(decoder: Decoder) -> None:
        for one, upload in zip(await decoder.decode_many(uploads), uploads, strict=True):
            assert isinstance(one, Found)
            np.testing.assert_array_equal(one.pixels, preparation(spec).prepare(open_image(upload, PIXELS)).pixels)

    with_decoder(scenario, spec=spec)
    assert len(started) == 1


def test_what_is_wrong_with_a_file_is_told(digits: Digits, started: Started) -> None:
    hostile = b"\xff\xd8" + b"\xff\xe1\0\x09Exif\0\0a" * 3
    clean, photo = encoded(digits[0][0]), encoded(enlarged(digits[0][0]))
    batch = [clean, b"text", photo, photo[:100], png_header(3000, 3000), hostile]

    async def scenario(decoder: Decoder) -> None:
        found = await decoder.decode_many(batch)
        assert [type(one) for one in found] == [Found, NotAnImage, Found, UndecodableImage, TooLarge, TooLarge]
        assert "3000 x 3000" in str(found[4])
        with pytest.raises(NotAnImage, match="4 bytes"):
            await decoder.decode(b"text")
        assert decoder.decode_here(clean) is not None
        assert decoder.decode_here(photo) is None

    with_decoder(scenario)
    assert len(started) == 1


def test_a_file_that_takes_too_long_has_its_process_replaced(
    digits: Digits, started: Started, caplog: pytest.LogCaptureFixture
) -> None:
    photo = encoded(enlarged(digits[0][0]))

    async def scenario(decoder: Decoder) -> None:
        await warm(decoder)
        os.kill(started[0].child.pid, signal.SIGSTOP)
        with pytest.raises(AnswerTimeout):
            await decoder.decode(photo)
        while len(started) < 2 or not decoder._running:
            await asyncio.sleep(0.01)
        await decoder.decode(photo)
        assert started[0].child.returncode == -signal.SIGKILL

    with_decoder(scenario, timeout_s=1.5)
    assert len([line for line in caplog.messages if "replaced after a file of" in line]) == 1


def test_a_file_that_ends_its_process_is_refused_and_no_other(digits: Digits, started: Started) -> None:
    photo = encoded(enlarged(digits[0][0]))

    async def scenario(decoder: Decoder) -> None:
        await warm(decoder)
        os.kill(started[0].child.pid, signal.SIGSTOP)
        first = asyncio.create_task(decoder.decode(photo))
        second = asyncio.create_task(decoder.decode(photo))
        await asyncio.sleep(0.05)
        os.kill(started[0].child.pid, signal.SIGKILL)
        with pytest.raises(UndecodableImage, match="ends the decoder"):
            await first
        await second
        os.kill(started[1].child.pid, signal.SIGKILL)  # while it has nothing to do
        await asyncio.sleep(0.05)
        await decoder.decode(photo)

    with_decoder(scenario)
    assert len(started) == 3


def test_a_file_may_not_take_more_processor_time_than_any_picture(started: Started) -> None:
    """A BigTIFF whose EXIF directory has two million tags of an unknown type, which Pillow reads one by one."""
    count, pixels = 2_000_000, 400
    tags = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, pixels), (277, 1), (278, 1), (279, 1), (34665, 500)]
    directory = b"".join(struct.pack("<HHQQ", tag, 16, 1, value) for tag, value in tags)
    content = (b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, len(tags)) + directory).ljust(500, b"\0")
    content += struct.pack("<Q", count) + struct.pack("<HHQQ", 300, 99, 1, 0) * count + bytes(8)

    async def scenario(decoder: Decoder) -> None:
        with pytest.raises(UndecodableImage, match="longer than any real picture"):
            await decoder.decode(content)

    with_decoder(scenario)
    assert started[0].child.returncode == -signal.SIGPROF


def test_without_processes_files_are_refused_until_one_starts(
    digits: Digits, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    photo = encoded(enlarged(digits[0][0]))
    monkeypatch.setattr(room, "RETRY_S", 0.01)
    broken = [OSError("too many open files"), ValueError("nonsense"), OSError("no memory")]

    def start(spec: InputSpec, max_pixels: int) -> DecoderProcess:
        if broken:
            raise broken.pop()
        return DecoderProcess(spec, max_pixels)

    monkeypatch.setattr(room, "DecoderProcess", start)

    async def scenario(decoder: Decoder) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not decoder.healthy
        with pytest.raises(Overloaded, match="at the moment"):
            await decoder.decode(photo)
        await warm(decoder)
        assert decoder.healthy
        await decoder.decode(photo)

    with_decoder(scenario)
    assert caplog.record_tuples == [
        ("serving", logging.WARNING, "no decoder process can be started: no memory"),
    ]


def test_processes_do_not_outlive_a_killed_service() -> None:
    code = """if True:
        import asyncio, os, signal
        from models.pictures.preparation import DIGIT_INPUT
        from serving.decoder import Decoder
        async def main():
            decoder = Decoder(DIGIT_INPUT, 1000, 10, 1)
            decoder.start()
            while not decoder._running:
                await asyncio.sleep(0.01)
            print(open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(main())
    """
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    [child] = ended.stdout.split()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "zombie" not in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_damaged_clean_files_write_nothing_to_the_log() -> None:
    code = """if True:
        import sys, zlib
        from serving.quiet import mute_c_libraries
        from models.pictures.png import as_png, plain_form, plain_png, _chunk, END
        mute_c_libraries()
        for stream in (zlib.compress(bytes(812)) + b"abc", zlib.compress(bytes(813)), b"nonsense"):
            plain_png(plain_form(28, 28, 1).start + _chunk(b"IDAT", stream) + END, plain_form(28, 28, 1))
        print("Python writes", file=sys.stderr)
    """
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.stderr == "Python writes\n"
