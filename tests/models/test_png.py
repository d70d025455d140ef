"""PNG files: plain ones by the fast path, all others by Pillow, and the same answers of both."""

import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.pictures.decode import open_image, to_picture
from models.pictures.errors import UndecodableImage
from models.pictures.png import plain_form, plain_png
from models.pictures.preparation import DIGIT_INPUT, preparation
from models.pictures.strokes import SIZE
from tests.conftest import Digits
from tests.pictures.uploads import encoded

PIXELS = 25_000_000
DIGIT = preparation(DIGIT_INPUT)


def seen(content: bytes) -> NDArray[np.uint8]:
    return DIGIT.prepare(open_image(content, PIXELS)).pixels


def png(pixels: bytes, *, first: bytes = b"", header: bytes = struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)) -> bytes:
    """A PNG of these compressed pixels with right checksums; `first` are chunks before them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + first + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_plain_pngs_are_seen_as_pillow_sees_them(digits: Digits) -> None:
    """All row filters, and all of zlib's strategies, over 1,000 images."""
    random = np.random.default_rng(0)
    for number, image in enumerate(digits[0]):
        content = encoded(image, compress_level=number % 10)
        np.testing.assert_array_equal(DIGIT.already_prepared(content), seen(content))
        rows = b"".join(bytes([filtered]) + random.bytes(28) for filtered in random.integers(0, 5, 28))
        noise = png(zlib.compress(rows))
        fast = plain_png(noise, plain_form(SIZE, SIZE, 1))
        assert fast is not None
        np.testing.assert_array_equal(fast, to_picture(open_image(noise, PIXELS)))


def test_only_complete_plain_pngs_take_the_fast_path(digits: Digits) -> None:
    image = digits[0][0]
    content = encoded(image)
    assert DIGIT.already_prepared(content) is not None
    for end in range(len(content)):
        assert DIGIT.already_prepared(content[:end]) is None
    others = [b"", content + b"\0", encoded(255 - image), encoded(image, "JPEG"), encoded(image[:, :27])]
    others += [encoded(Image.fromarray(image).convert(mode)) for mode in ("RGB", "LA", "P", "1")]
    others += [encoded(image, transparency=0), png(zlib.compress(bytes(28 * 29)), first=content[33:-12])]
    assert all(DIGIT.already_prepared(other) is None for other in others)


def test_a_short_or_damaged_stream_never_yields_old_pixels(digits: Digits) -> None:
    """The chunks are whole and their checksums right, but there are fewer pixels in them (OpenCV's issue 26488)."""
    assert DIGIT.already_prepared(encoded(digits[0][1])) is not None  # what the memory may hold then
    rows = b"".join(b"\0" + bytes(row) for row in digits[0][0])
    stream = zlib.compress(rows)
    damaged = [stream[:end] for end in range(0, len(stream), 7)]
    damaged += [zlib.compress(rows[: 29 * count]) for count in range(28)]
    damaged += [stream[:-4] + b"\0\0\0\0", zlib.compress(b"\x09" + rows[1:])]
    for one in damaged:
        assert DIGIT.already_prepared(png(one)) is None


def test_the_fast_path_takes_no_file_larger_than_it_needs_to_be(digits: Digits) -> None:
    """libpng inflates what stands behind the last row."""
    rows = b"".join(b"\0" + bytes(row) for row in digits[0][0])
    assert DIGIT.already_prepared(png(zlib.compress(rows, 0))) is not None
    assert DIGIT.already_prepared(png(zlib.compress(rows + bytes(10_000_000)))) is None


@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_png_with_rows_missing_is_refused(interlaced: int) -> None:
    """Pillow would leave them black."""
    for width, height, depth, size in ((28, 28, 8, 812), (5, 3, 1, 3 * 2), (2999, 3000, 4, 3000 * 1501)):
        if interlaced:
            size = {28: 837, 5: 14, 2999: 4_506_000}[width]
        header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, interlaced)
        assert to_picture(open_image(png(zlib.compress(bytes(size)), header=header), PIXELS)).any() == 0
        for stream in (zlib.compress(bytes(size - 1)), zlib.compress(bytes(size))[:-8], b""):
            with pytest.raises(UndecodableImage):
                open_image(png(stream, header=header), PIXELS)


def test_a_stream_that_ends_too_early_ends_the_search_for_its_rows() -> None:
    """What zlib says of its unread input stays as it was when the stream ends behind a step."""
    large = struct.pack(">IIBBBBB", 600, 600, 8, 0, 0, 0, 0)
    for length in (65_535, 65_536, 65_537, 70_000, 131_072, 200_000):
        with pytest.raises(UndecodableImage):
            open_image(png(zlib.compress(bytes(length)) + bytes(1000), header=large), 25_000_000)


def test_a_wrong_checksum_of_pixels_is_refused(digits: Digits) -> None:
    content = bytearray(encoded(digits[0][0]))
    content[-13] ^= 1
    assert DIGIT.already_prepared(bytes(content)) is None
    with pytest.raises(UndecodableImage, match="checksum"):
        open_image(bytes(content), PIXELS)


def test_text_and_profiles_of_a_png_are_not_read(digits: Digits) -> None:
    """Pillow inflates them; here they are no compressed data at all, and the picture is read all the same."""
    profile = b"name\0\0" + zlib.compress(bytes(1000))[:-9]
    content = encoded(digits[0][0])
    chunk = struct.pack(">I", len(profile)) + b"iCCP" + profile + struct.pack(">I", zlib.crc32(b"iCCP" + profile))
    np.testing.assert_array_equal(seen(content[:33] + chunk + content[33:]), digits[0][0])
