"""Refuses images built to keep a decoder busy: Pillow walks headers block by block, in Python.

A photo has some dozens of blocks; 10 MB of empty ones keep Pillow busy for seconds, of concatenated EXIF for half a
minute. Nothing is decoded here. What is not foreseen ends with its decoder process, which has a limit of time.
"""

from typing import Literal

from PIL import Image

from models.pictures.errors import TooLarge

MAX_BLOCKS = 1000
"""Blocks before the pixels, or scans of a JPEG, that are walked without complaint."""
MAX_GIF_BLOCKS = 10_000
"""GIF cuts what it carries into blocks of 255 bytes at most."""
SMALL_IDAT = 64
"""Bytes; encoders cut a PNG's pixels into chunks of thousands."""
MAX_STRIPS = 100_000
"""Strips or tiles of a TIFF; a row each in an image of as many rows."""
STRIP_OFFSETS, TILE_OFFSETS = 273, 324
"""TIFF tags (TIFF 6.0, sections 8 and 15)."""
EXIF = b"Exif\0\0"
MAX_SCANNED = 1_000_000_000
"""Scans of a JPEG times its pixels: a photo of 25 million in 40 scans. Progressive files have about 10."""
MAX_RUNS = 1_000_000
"""Pixels, and bytes, of a BMP whose pixels are runs: Pillow decodes those in Python, a million a second."""


def refuse_many_blocks(content: bytes) -> None:
    """Raises TooLarge when a JPEG, PNG, TIFF or GIF has more blocks than any real picture."""
    if content.startswith(b"\xff\xd8"):
        too_many = max(_jpeg_segments(content), _scans(content)) > MAX_BLOCKS
    elif content.startswith(b"\x89PNG"):
        too_many = _png_chunks(content) > MAX_BLOCKS
    elif content.startswith((b"II", b"MM")):
        too_many = _tiff_blocks(content) > MAX_BLOCKS
    else:
        too_many = content.startswith(b"GIF8") and _gif_blocks(content) > MAX_GIF_BLOCKS
    if too_many:
        raise TooLarge("the image has more metadata blocks or scans than any real picture")


def refuse_slow(image: Image.Image, content: bytes) -> None:
    """Raises TooLarge when decoding an opened image takes out of proportion long for its pixels."""
    pixels = image.width * image.height
    scanned = image.format == "JPEG" or image.info.get("compression") in ("jpeg", "tiff_jpeg")
    if scanned and _scans(content) * pixels > MAX_SCANNED:
        raise TooLarge(f"the image has {pixels:,} pixels in too many scans")
    runs = image.format == "BMP" and any(tile[0] == "bmp_rle" for tile in getattr(image, "tile", ()))
    if runs and max(pixels, len(content)) > MAX_RUNS:
        raise TooLarge(f"the image has {pixels:,} run-length encoded pixels; at most {MAX_RUNS:,} are taken")


def _scans(content: bytes) -> int:
    """Scans of a JPEG; its compressed pixels never contain the marker."""
    return content.count(b"\xff\xda")


def _jpeg_segments(content: bytes) -> int:
    """Marker segments before the first scan (ITU-T T.81, annex B), counted no further than needed.

    Raises TooLarge for EXIF in several segments, which is longer than the 64 kB of one: Pillow reads it tag by tag.
    """
    position, count, exif = 2, 0, 0
    while count <= MAX_BLOCKS and position + 4 <= len(content) and content[position] == 0xFF:
        if content[position + 1] == 0xDA:
            break
        if content[position + 1] == 0xFF:  # fill byte
            position += 1
        else:
            exif += content.startswith(EXIF, position + 4)
            position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        count += 1
    if exif > 1:
        raise TooLarge("the image has more metadata than any real picture: EXIF in several segments")
    return count


def _png_chunks(content: bytes) -> int:
    """Chunks other than the pixels' own IDAT of a fair size (PNG, section 5.3), counted no further than needed."""
    position, count = 8, 0
    while count <= MAX_BLOCKS and position + 8 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        count += content[position + 4 : position + 8] != b"IDAT" or length < SMALL_IDAT
        position += 12 + length
    return count


def _tiff_blocks(content: bytes) -> int:
    """Tags of the first directory (TIFF 6.0, section 2, and BigTIFF), or more than are allowed for too many strips."""
    order: Literal["little", "big"] = "little" if content.startswith(b"II") else "big"

    def number(first: int, size: int) -> int:
        return int.from_bytes(content[first : first + size], order)

    big = content[2] == 43 if len(content) > 2 else False  # as Pillow tells it
    wide, entry, first = (8, 20, number(8, 8)) if big else (4, 12, number(4, 4))
    head = 8 if big else 2
    tags = number(first, head)
    for position in range(first + head, first + head + min(tags, MAX_BLOCKS) * entry, entry):
        if number(position, 2) in (STRIP_OFFSETS, TILE_OFFSETS) and number(position + 4, wide) > MAX_STRIPS:
            return MAX_BLOCKS + 1
    return tags


def _gif_blocks(content: bytes) -> int:
    """Sub-blocks of the extensions before the first image (GIF89a, section 24), counted no further than needed."""
    flags = content[10] if len(content) > 10 else 0
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    count = 0
    while count <= MAX_GIF_BLOCKS and position + 2 < len(content) and content[position] == 0x21:
        position += 2
        while count <= MAX_GIF_BLOCKS and position < len(content) and content[position]:
            position += 1 + content[position]
            count += 1
        position += 1
    return count
