"""Image files made to be dear: to hold a thread, a lock or memory for as long as possible."""

import functools
import io
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.conftest import ROOT
from tests.pictures.uploads import encoded

SIDE = 4990
"""Of the largest square image within the default limit of 25 megapixels."""
INLINE_BYTES = 16_384
MB = 1_000_000


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(side: int, idat: bytes, *before: bytes) -> bytes:
    """A square gray PNG with these chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", idat) + chunk(b"IEND", b"")


def deflated(first: bytes, zeros: int) -> bytes:
    """A zlib stream of `first` and so many zeros, in no time: one block of 10 MB, repeated (RFC 1951)."""
    packer = zlib.compressobj(9, wbits=-15)
    start = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(10 * MB)) + packer.flush(zlib.Z_FULL_FLUSH)
    count = zeros // (10 * MB)
    check = zlib.adler32(first)
    low, high = check & 0xFFFF, check >> 16
    high = (high + 10 * MB * count * low) % 65521
    return b"\x78\xda" + start + block * count + b"\x03\x00" + struct.pack(">HH", high, low)


def bomb(inflated: int) -> bytes:
    """A digit of 28×28 pixels as people send it, but for what is behind its last row."""
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        digit = arrays["images"][0]
    return png(28, deflated(np.pad(digit, ((0, 0), (1, 0))).tobytes(), inflated))


def small_bombs() -> Iterator[bytes]:
    """Files of at most INLINE_BYTES whose metadata inflates a thousandfold."""
    idat = zlib.compress(bytes(32 * 33))
    whole, megabyte = zlib.compress(bytes(15 * MB), 9), zlib.compress(bytes(MB), 9)
    before_text = {b"iCCP": b"profile\0\0", b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0"}
    for kind, head in before_text.items():
        yield png(32, idat, chunk(kind, head + whole))
        yield png(32, idat, *[chunk(kind, head + megabyte)] * 15)


def damaged() -> Iterator[bytes]:
    """Files of at most INLINE_BYTES, of each kind, cut or with a few bytes changed."""
    chance = random.Random(0)
    noise = np.random.default_rng(0).integers(0, 90, (120, 120), np.uint8)
    smooth = Image.fromarray(noise).resize((12, 12)).resize((120, 120), Image.Resampling.BICUBIC)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        whole = encoded(smooth, kind)
        if len(whole) > INLINE_BYTES:
            whole = encoded(smooth.resize((100, 100)), kind)
        for number in range(20):
            content = bytearray(whole)
            if number % 4 == 0:
                del content[chance.randrange(len(content) // 2, len(content)) :]
            for _ in range(number % 4 * 3):
                content[chance.randrange(len(content))] = chance.randrange(256)
            yield bytes(content)


def run_length_bmp() -> bytes:
    """1,082 bytes of 24.9 megapixels: long rows of one run each, which Pillow pads pixel by pixel, in Python."""
    rows, width = 255, 24_900_000 // 255
    runs = b"\1\0\0\0" * rows  # one pixel, end of line
    header = struct.pack("<IiiHHIIiiII", 40, width, rows, 1, 8, 1, len(runs), 0, 0, 2, 0)
    content = header + bytes(8) + runs
    return b"BM" + struct.pack("<IHHI", 14 + len(content), 0, 0, 14 + 40 + 8) + content


@functools.cache
def jpeg_of_scans(count: int) -> bytes:
    """A progressive JPEG of 24.9 megapixels, whose last scan comes again and again."""
    file = io.BytesIO()
    Image.new("L", (SIDE, SIDE), 128).save(file, "JPEG", progressive=True)
    content = file.getvalue()[:-2]
    scan = content[content.rindex(b"\xff\xda") :]
    return content + scan * (count - content.count(b"\xff\xda")) + b"\xff\xd9"


def png_of_tags(count: int) -> bytes:
    """A PNG whose EXIF has so many tags, one of which has the picture turned."""
    tags = b"".join(struct.pack("<HHIHH", number, 3, 1, 6 if number == 0x112 else 1, 0) for number in range(count))
    exif = b"II*\0" + struct.pack("<IH", 8, count) + tags + bytes(4)
    return png(200, zlib.compress(bytes(200 * 201)), chunk(b"eXIf", exif))


def flat_webp() -> bytes:
    """24.9 megapixels of one colour in 28 bytes: each of its five codes has one symbol (RFC 9649, section 3.7.2.1)."""
    size = SIDE - 1 | SIDE - 1 << 14
    codes = int("0001" * 5 + "000", 2)  # read from the lowest bit on
    content = b"\x2f" + size.to_bytes(4, "little") + codes.to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 12 + len(content)) + b"WEBPVP8L" + struct.pack("<I", len(content)) + content


def photo() -> bytes:
    """A JPEG of 12 megapixels: a digit, light on dark, with some noise."""
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        digit = Image.fromarray(arrays["images"][0]).resize((3000, 4000), Image.Resampling.BICUBIC)
    return encoded(digit, "JPEG", quality=80)


def disposition(parameters: bytes) -> bytes:
    """A form of one file whose part has this header."""
    return b"--b\r\nContent-Disposition: form-data; " + parameters + b"\r\n\r\n" + b"content\r\n--b--\r\n"


def form(files: list[bytes]) -> bytes:
    """The body of a batch."""
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    return b"".join(head + content + b"\r\n" for content in files) + b"--b--\r\n"


FORM = "Content-Type: multipart/form-data; boundary=b"
