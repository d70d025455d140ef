"""PNG files (W3C, Portable Network Graphics, third edition): plain ones read fast, all others cleaned for the decoder.

Knows nothing about what is in the picture.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures.errors import UndecodableImage

Picture = NDArray[np.uint8]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
SLACK = 128
"""Bytes that a plain file may have beyond its uncompressed rows: chunks around them and zlib's own take 74."""
KEPT = (b"IHDR", b"PLTE", b"tRNS", b"eXIf")
"""Chunks besides IDAT that the pixels and their orientation depend on."""
GRAY, RGB = 0, 2
"""Colour types (section 11.2.1)."""
SAMPLES = {GRAY: 1, RGB: 3, 3: 1, 4: 2, 6: 4}
"""Samples a pixel by colour type (section 11.2.1)."""
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, and the steps between columns and rows, of each pass (section 8.1)."""
MAX_EXIF = 65_536
"""Longest EXIF block in bytes that is read, whatever the format; of a longer one the orientation is not followed."""
STEP = 65_536
"""Bytes that are inflated at a time."""


class Plain(NamedTuple):
    """The form of file that `plain_png` reads."""

    start: bytes
    """Signature and IHDR."""
    max_bytes: int


def plain_form(height: int, width: int, channels: int) -> Plain:
    """Files of 8-bit gray, or of 8-bit RGB for three channels, that are not interlaced, no larger than they need to be.

    Sections 5.2 and 11.2.1.
    """
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, GRAY if channels == 1 else RGB, 0, 0, 0))
    return Plain(SIGNATURE + header, height * (1 + width * channels) + SLACK)


def plain_png(content: bytes, form: Plain) -> Picture | None:
    """The pixels of a complete PNG of this form, all of them in one chunk; else None.

    Equal to what `to_picture` makes of it, and many times as fast. OpenCV sees no other file; what it cannot decode
    (wrong checksum, missing rows) is left to Pillow, which says why. The bound on bytes is one on time: libpng inflates
    whatever stands behind the last row, at most a thousand times the file.
    """
    start, max_bytes = form
    length = len(content) - len(start) - 12 - len(END)
    whole = start + length.to_bytes(4, "big", signed=True) + b"IDAT"
    if len(content) > max_bytes or not (content.startswith(whole) and content.endswith(END)):
        return None
    pixels = cast("Picture | None", cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED))
    return pixels if pixels is None or pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])  # from BGR


def as_png(pixels: Picture) -> bytes:
    """A PNG file of (height, width) gray or (height, width, 3) RGB uint8 pixels."""
    return cv2.imencode(".png", pixels if pixels.ndim == 2 else pixels[..., ::-1])[1].tobytes()


def cleaned_png(content: bytes) -> bytes:
    """The same picture without text, profiles and animation, which Pillow would inflate or parse.

    What is no PNG file comes back as it is. Raises UndecodableImage where a header or all pixels are missing, or the
    checksum of the pixels is wrong, which Pillow does not look at.
    """
    if not content.startswith(SIGNATURE):
        return content
    chunks = list(_chunks(content))
    if not chunks or chunks[0][0] != b"IHDR" or all(kind != b"IDAT" for kind, _, _ in chunks):
        raise UndecodableImage("its header is damaged or cut off")
    if any(zlib.crc32(data, zlib.crc32(kind)) != crc for kind, data, crc in chunks if kind == b"IDAT"):
        raise UndecodableImage("the PNG image cannot be decoded: the checksum of its pixels is wrong")
    kept = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)
        for kind, data, crc in chunks
        if kind in KEPT and (kind != b"eXIf" or len(data) <= MAX_EXIF)
    )
    return SIGNATURE + kept + _chunk(b"IDAT", b"".join(data for kind, data, _ in chunks if kind == b"IDAT")) + END


def check_rows(content: bytes) -> None:
    """Raises UndecodableImage where a `cleaned_png` does not hold all rows; Pillow would leave the others black.

    Inflates as many bytes as the header promises and keeps none.
    """
    chunks = [(kind, data) for kind, data, _ in _chunks(content)]
    size, inflater, found = _raw_bytes(bytes(chunks[0][1])), zlib.decompressobj(), 0
    pixels = chunks[-1][1]
    with suppress(zlib.error):
        for first in range(0, len(pixels), STEP):
            rest = bytes(pixels[first : first + STEP])
            while rest and found < size and not inflater.eof:  # at the end the tail would stay what it was
                found += len(inflater.decompress(rest, STEP))
                rest = inflater.unconsumed_tail
        if found >= size:
            return
    raise UndecodableImage("the PNG image cannot be decoded: its compressed pixels are damaged or incomplete")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """Kind, data and checksum of each chunk before IEND; of one that is cut off what is there, with its checksum."""
    position, view = len(SIGNATURE), memoryview(content)
    while position + 8 <= len(content) and (kind := content[position + 4 : position + 8]) != b"IEND":
        end = position + 8 + int.from_bytes(content[position : position + 4], "big")
        data, checksum = view[position + 8 : end], content[end : end + 4]
        crc = int.from_bytes(checksum, "big") if len(checksum) == 4 else zlib.crc32(data, zlib.crc32(kind))
        yield kind, data, crc
        position = end + 4


def _raw_bytes(header: bytes) -> int:
    """Bytes of all rows, each with its filter byte."""
    width, height, depth, colour, interlaced = struct.unpack(">IIBBxxB", header[:13])
    bits = depth * SAMPLES.get(colour, 0)
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = ((-((left - width) // across), -((top - height) // down)) for left, top, across, down in passes)
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0)
