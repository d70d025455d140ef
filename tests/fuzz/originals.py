"""The whole files that uploads are mutated from, and digits whose answers are known."""

import io
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from tests.conftest import ROOT
from tests.pictures.forms import FORMS
from tests.pictures.realistic import exif_turned, paper_photo, screenshot, transparent_png
from tests.pictures.uploads import encoded, enlarged, jpeg_of_segments

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("PNG", {"optimize": True}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True, "quality": 30}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"quality": 40}),
    ("BMP", {}),
    ("GIF", {}),
    ("TIFF", {}),
    *(("TIFF", {"compression": name}) for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")),
)
"""Formats, with what the encoder is told."""
MODES = {"PNG": "1 P LA RGBA I;16", "JPEG": "CMYK", "WEBP": "RGBA", "BMP": "1 P", "GIF": "1 P", "TIFF": "1 RGBA I;16 F"}
"""Modes of pixels besides gray and RGB."""


PLAIN_HEADER = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x1c\0\0\0\x1c\b\0\0\0\0"
"""Of a PNG of 28×28 pixels in 8-bit gray that is not interlaced."""


def small_digits() -> NDArray[np.uint8]:
    """(n, 28, 28): digits that no training image shows."""
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        found: NDArray[np.uint8] = arrays["images"]
    return found


def plain_files(count: int) -> list[bytes]:
    """So many PNGs of 28×28, each of another digit."""
    return [encoded(digit) for digit in small_digits()[:count]]


def originals(seed: int) -> list[bytes]:
    """Pictures in all formats, modes and sizes that the service takes, at most some 50 kB each."""
    random = np.random.default_rng(seed)
    digits = small_digits()[random.integers(0, 1000, 40)]
    examples = [path.read_bytes() for path in sorted((ROOT / "examples").glob("*.png"))]
    small = [encoded(form(digit, random)) for form, digit in zip(FORMS.values(), digits, strict=False)]
    large = [encoded(_picture(digit, random), kind, **options) for digit in digits[:3] for kind, options in KINDS]
    modes = [
        encoded(_picture(digits[3], random).convert(_convertible(mode)).convert(mode), kind)
        for kind, names in MODES.items()
        for mode in names.split()
    ]
    scenes = [drawn(digits[4], random) for drawn in (exif_turned, paper_photo, screenshot, transparent_png)]
    return [*examples, *small, *large, *modes, *scenes, *_unusual(digits[5])]


def _picture(digit: NDArray[np.uint8], random: np.random.Generator) -> Image.Image:
    """Of one of several sizes, gray or in colour."""
    picture = enlarged(digit, int(random.choice([1, 2, 4, 8])))
    return picture.convert("RGB") if random.random() < 0.5 else picture


def _convertible(mode: str) -> str:
    """Pillow reaches some modes only from gray."""
    return "RGB" if mode in ("RGBA", "CMYK") else "L"


def _unusual(digit: NDArray[np.uint8]) -> list[bytes]:
    """Files with texts, a profile, EXIF, or several frames."""
    picture = enlarged(digit, 4)
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a digit", zip=True)
    texts.add_itxt("Comment", "a digit " * 20, zip=True)
    frames = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)]}
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    return [
        encoded(picture, "PNG", pnginfo=texts, exif=exif, icc_profile=b"no profile" * 20),
        *(encoded(picture, kind, **frames) for kind in ("PNG", "GIF", "TIFF", "WEBP")),
        encoded(picture, "JPEG", exif=exif, icc_profile=b"no profile" * 20),
        encoded(picture, "WEBP", exif=exif),
        jpeg_of_segments(20),
    ]


def in_a_form(contents: list[bytes], field: bytes, random: Random) -> bytes:
    """A multipart body with these files; the boundary differs from one to the next."""
    boundary = b"--%032x" % random.getrandbits(128)
    disposition = b'Content-Disposition: form-data; name="%b"; filename="a.png"\r\n\r\n' % field
    parts = [b"\r\n".join([boundary, disposition + content, b""]) for content in contents]
    return b"".join(parts) + boundary + b"--\r\n"


def seen_by_pillow(png: bytes) -> Image.Image | None:
    """The decoded image, of 8-bit gray; None where Pillow finds damage in what the pixels are made from.

    A decoder may skip damaged chunks that it does not need, as libpng does and Pillow does not.
    """
    return _loaded(png) or _loaded(_needed(png))


def _loaded(png: bytes) -> Image.Image | None:
    try:
        image = Image.open(io.BytesIO(png), formats=["PNG"])
        image.load()
        image.getexif()
    except Exception:  # whatever a damaged file makes Pillow trip over
        return None
    return image


def _needed(png: bytes) -> bytes:
    """The file without the chunks that gray pixels do not need."""
    kept, at = png[:8], 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] in (b"IHDR", b"IDAT", b"IEND"):
            kept += png[at:end]
        at = end
    return kept
