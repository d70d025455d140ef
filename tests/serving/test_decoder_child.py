"""What a decoder process says, and what is believed of it."""

import subprocess
import sys

import numpy as np
import pytest

from models.manifest import InputSpec
from models.pictures.errors import UndecodableImage
from models.pictures.preparation import DIGIT_INPUT, Found
from serving.decoder_child import FAILURES, REPLY, decode, encode, longest
from tests.conftest import ROOT


@pytest.mark.parametrize("kind", range(7))
def test_nonsense_from_a_process_is_noticed(kind: int) -> None:
    for body in (b"", b"\1\2\0\2\0abc", b"\xff\xfe"):
        if kind - 2 in range(len(FAILURES)):
            assert type(decode(kind, body, DIGIT_INPUT)) is FAILURES[kind - 2]
        else:
            with pytest.raises(ValueError):  # noqa: PT011
                decode(kind, body, DIGIT_INPUT)


def test_a_picture_of_another_shape_is_noticed() -> None:
    """It would fail the batch of others whose model it came to."""
    kind, spec = 1, InputSpec("crop", 4, 6, 3)
    for shape, fits in (((4, 6, 3), True), ((4, 6), False), ((4, 6, 4), False), ((0,), False)):
        body = encode(Found(np.zeros(shape, np.uint8), several=True))[REPLY.size :]
        assert len(body) <= longest(spec)
        if fits:
            found = decode(kind, body, spec)
            assert isinstance(found, Found)
            assert (found.pixels.shape, found.several) == (shape, True)
        else:
            with pytest.raises(ValueError, match=r"reshape|buffer"):
                decode(kind, body, spec)


def test_texts_are_bounded() -> None:
    reply = encode(UndecodableImage("é\ud800" * 10_000))
    kind, length = REPLY.unpack_from(reply)
    assert length == len(reply) - REPLY.size <= longest(InputSpec("crop", 1, 1, 1))
    assert str(decode(kind, reply[REPLY.size :], DIGIT_INPUT)).startswith("é?é?")


def test_memory_is_bounded() -> None:
    code = "from models.pictures.limits import limit_memory; limit_memory(50_000_000); bytearray({})"
    for size, status in ((20_000_000, 0), (500_000_000, 1)):
        ended = subprocess.run([sys.executable, "-c", code.format(size)], cwd=ROOT, capture_output=True, text=True)
        assert ended.returncode == status
        assert ("MemoryError" in ended.stderr) == bool(status)
