"""Uploads as people make them."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def encoded(image: NDArray[Any] | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(file, format=kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and holds none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + struct.pack(">I", 100) + b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + chunks


def jpeg_of_segments(count: int) -> bytes:
    """A small JPEG with so many EXIF segments, which Pillow concatenates one by one."""
    exif = b"Exif\0\0" + b"a" * 32
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    jpeg = encoded(np.zeros((16, 16), np.uint8), "JPEG")
    return jpeg[:2] + segment * count + jpeg[2:]


def enlarged(digit: NDArray[np.uint8], factor: int = 8) -> Image.Image:
    """A bigger picture of the digit, light on dark."""
    side = 28 * factor
    return Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
