"""Files built to keep a decoder busy."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from models.pictures.bombs import refuse_many_blocks, refuse_slow
from models.pictures.decode import open_image
from models.pictures.errors import TooLarge
from tests.pictures.uploads import encoded, jpeg_of_segments

SIDE = 4000


def tiff(order: str, big: bool, tags: list[tuple[int, int]]) -> bytes:
    """The first directory of a TIFF: tags with their count of values; 43 in the third byte is BigTIFF."""
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + b"+\0" + struct.pack(order + "HHQQ", 8, 0, 16, len(tags))
        return head + b"".join(struct.pack(order + "HHQQ", tag, 4, count, 0) for tag, count in tags)
    head = mark + struct.pack(order + "HIH", 42, 8, len(tags))
    return head + b"".join(struct.pack(order + "HHII", tag, 4, count, 0) for tag, count in tags)


def test_images_built_to_keep_the_decoder_busy_are_refused() -> None:
    jpeg = encoded(np.zeros((16, 16), np.uint8), "JPEG")
    chunk = struct.pack(">I", 0) + b"teSt" + struct.pack(">I", zlib.crc32(b"teSt"))
    png = encoded(np.zeros((16, 16), np.uint8))
    gif = encoded(np.zeros((16, 16), np.uint8), "GIF")
    start = 13 + (3 << (gif[10] & 7) + 1)
    comment = b"\x21\xfe" + b"\x01a" * 20_000 + b"\0"
    strips = [(256, 1), (273, 2_000_000)]
    exif = b"\xff\xe1\0\x0aExif\0\0MM"
    for hostile in (
        jpeg_of_segments(5000),
        jpeg[:2] + exif * 2 + jpeg[2:],
        jpeg[:-2] + b"\xff\xda" * 5000 + jpeg[-2:],
        png[:33] + chunk * 5000 + png[33:],
        png[:33] + (bytes(4) + b"IDAT" + bytes(4)) * 5000 + png[33:],
        gif[:start] + comment + gif[start:],
        *(tiff(order, big, tags) for order in "<>" for big in (False, True) for tags in ([(300, 1)] * 5000, strips)),
    ):
        with pytest.raises(TooLarge, match="more metadata"):
            refuse_many_blocks(hostile)
    refuse_many_blocks(jpeg[:2] + exif + jpeg[2:])
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"):
        refuse_many_blocks(encoded(np.zeros((900, 900), np.uint8), kind))
    for beginning in (b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"GIF89a" + b"\xff" * 7):
        refuse_many_blocks(beginning)


def bmp(side: int, data: bytes) -> bytes:
    """A BMP of 256 grays whose pixels are runs (RLE8)."""
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(data), 0, 0, 1078) + header + bytes(1024) + data


def test_runs_are_decoded_of_small_files_alone() -> None:
    small = bmp(16, b"\x10\5\0\0" * 16 + b"\0\1")
    image = open_image(small, SIDE * SIDE)
    refuse_slow(image, small)
    image.load()
    for hostile in (bmp(SIDE, b"\0\1\0\1"), bmp(16, b"\1\5" * 600_000)):
        with pytest.raises(TooLarge, match="run-length"):
            refuse_slow(open_image(hostile, SIDE * SIDE), hostile)


def test_scans_are_bounded_by_the_pixels_that_each_reads() -> None:
    large, small = (encoded(Image.new("L", (side, side)), "JPEG", progressive=True) for side in (SIDE, 100))
    scan = large[large.rindex(b"\xff\xda") : -2]
    for content, scans in ((large, 0), (large, 40), (small, 900)):
        refuse_slow(open_image(content, SIDE * SIDE), content[:-2] + scan * scans)
    with pytest.raises(TooLarge, match="scans"):
        refuse_slow(open_image(large, SIDE * SIDE), large[:-2] + scan * 80)
    tiff_of_jpeg = encoded(Image.new("L", (SIDE, 16)), "TIFF", compression="jpeg")
    refuse_slow(open_image(tiff_of_jpeg, SIDE * SIDE), tiff_of_jpeg)
    with pytest.raises(TooLarge, match="scans"):
        refuse_slow(open_image(tiff_of_jpeg, SIDE * SIDE), tiff_of_jpeg + scan * 20_000)
    noise = encoded(np.random.default_rng(0).integers(0, 256, (2000, 2000), np.uint8), "TIFF")
    refuse_slow(open_image(noise, SIDE * SIDE), noise + b"\xff\xda" * 1000)  # raw pixels may look like scans
