"""Bytes that a person sent → the 28×28 image that the model knows. Knows nothing about HTTP or the model.

Decoding, limits, orientation, colour modes and transparency are here; finding the digit is in `ink`.
"""

import io
from contextlib import suppress
from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from models.pictures.errors import NotAnImage, TooLarge, UndecodableImage
from models.pictures.ink import Seen, digit_of
from models.pictures.strokes import SIZE

T = TypeVar("T", bound=np.generic)

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
LOSSLESS = ("PNG", "BMP", "TIFF")
DARK_BORDER = 32
"""Mean of the outermost pixels up to which a border is dark; the largest among MNIST's training images is 8.6."""
REDUCED = 320
"""Larger images are reduced by the largest whole factor that leaves this many pixels along their longer side."""
CLEAN_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x1c\0\0\0\x1c\x08\0\0\0\0Wf\x80H"
"""Signature and IHDR of a PNG of 28×28 pixels, 8-bit gray, not interlaced (PNG, sections 5.2 and 11.2.1)."""
CLEAN_END = b"\0\0\0\0IEND\xaeB`\x82"
BORDER = np.pad(np.zeros((SIZE - 2, SIZE - 2), np.uint8), 1, constant_values=1)
"""The outermost pixels of 28×28."""
BRIGHTEST_BORDER = DARK_BORDER * int(BORDER.sum())
"""Sum of those pixels up to which they are dark."""
TILE_WIDTH, TILE_LENGTH = 322, 323
"""TIFF tags (TIFF 6.0, section 15)."""
FULL_SCALES = (1.0, 255.0, 65_535.0)
"""What white is in images of 32 bits a pixel; the smallest that holds the brightest pixel is taken."""

Image.MAX_IMAGE_PIXELS = None  # `open_image` has its own limit, and Pillow's only warns at first


def clean_digit(content: bytes) -> NDArray[np.uint8] | None:
    """The pixels of a complete PNG that has MNIST's own form already, (28, 28) uint8; None for everything else.

    The common case, equal to `to_digit` and many times as fast: 28×28, 8-bit gray, one chunk of pixels, dark border.
    OpenCV sees no other file; what it cannot decode is left to Pillow, which says why.
    """
    length = len(content) - len(CLEAN_START) - 12 - len(CLEAN_END)
    if not (
        content.startswith(CLEAN_START)
        and content.endswith(CLEAN_END)
        and content[33:41] == length.to_bytes(4, "big", signed=True) + b"IDAT"
    ):
        return None
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or cv2.norm(pixels, cv2.NORM_L1, BORDER) > BRIGHTEST_BORDER:
        return None
    return cast("NDArray[np.uint8]", pixels)


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of (height, width) uint8 gray pixels."""
    return cv2.imencode(".png", pixels)[1].tobytes()


def open_image(content: bytes, max_pixels: int) -> Image.Image:
    """The image with its header read and nothing decoded yet.

    Raises NotAnImage, UndecodableImage or TooLarge.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        if any(accept and accept(content[:16]) for _, accept in (Image.OPEN[name] for name in FORMATS)):
            raise UndecodableImage("its header is damaged or cut off") from None
        raise NotAnImage(f"send one of {', '.join(FORMATS)}; these {len(content)} bytes are none of them") from None
    except Exception as error:  # decoders raise whatever a damaged header makes them trip over
        raise UndecodableImage(f"its header cannot be read: {error}") from error
    if decoded_pixels(image) > max_pixels:
        raise TooLarge(
            f"the image has {image.width} x {image.height} pixels or tiles too large; at most {max_pixels:,} are taken"
        )
    return image


def decoded_pixels(image: Image.Image) -> int:
    """How many pixels decoding will hold at once: those of the image, or of one tile of a TIFF, if that is larger."""
    tile = 0
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tile = int(image.tag_v2.get(TILE_WIDTH, 0)) * int(image.tag_v2.get(TILE_LENGTH, 0))
    return max(image.width * image.height, tile)


def to_digit(image: Image.Image) -> Seen:
    """Decodes `image`, and makes the digit in it look like MNIST.

    An 8-bit gray, lossless 28×28 image with a dark border has that form already and passes through bit-exact.
    Raises UndecodableImage.
    """
    try:
        lossless = image.format in LOSSLESS
        image.draft(None, (REDUCED, REDUCED))
        image.load()
        _turn_upright(image)
        if lossless and image.mode == "L" and image.size == (SIZE, SIZE) and not image.has_transparency_data:
            pixels = np.asarray(image)
            if _border(pixels).mean() <= DARK_BORDER:
                return Seen(pixels)
        picture = to_picture(image)
    except Exception as error:  # as above
        raise UndecodableImage(f"the {image.format} image cannot be decoded: {error}") from error
    return digit_of(picture)


def to_picture(image: Image.Image) -> NDArray[np.uint8]:
    """Any mode → (height, width) or (height, width, 3) uint8, its longer side below twice `REDUCED`."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits a pixel
        return _deep_to_gray(image)
    if image.has_transparency_data:
        return _flatten(np.asarray(_shrink(image.convert("RGBA")), np.float32))
    return np.asarray(_shrink(image if image.mode in ("L", "RGB") else image.convert("RGB")), np.uint8)


def _deep_to_gray(image: Image.Image) -> NDArray[np.uint8]:
    deep = np.asarray(_shrink(image.convert("F")), np.float64)
    deep = np.clip(np.nan_to_num(deep, nan=0, posinf=0, neginf=0), 0, None)
    brightest = float(deep.max())
    if image.mode.startswith("I;16"):
        white = FULL_SCALES[-1]
    else:
        white = next((scale for scale in FULL_SCALES if brightest <= scale), brightest)
    return (deep * (255 / white)).round().astype(np.uint8)


def _turn_upright(image: Image.Image) -> None:
    """Follows EXIF orientation; a damaged EXIF block is no reason to refuse the picture."""
    with suppress(Exception):  # decoders raise whatever they trip over
        ImageOps.exif_transpose(image, in_place=True)


def _shrink(image: Image.Image) -> Image.Image:
    """Averages squares of pixels until the longer side is below twice `REDUCED`."""
    factor = max(image.size) // REDUCED
    return image.reduce(factor) if factor > 1 else image


def _flatten(rgba: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Puts (height, width, 4) on paper: white, or black under light ink, which white would hide."""
    luminance = rgba[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow's
    alpha = rgba[..., 3:] / 255
    ink = float((luminance * alpha[..., 0]).sum() / max(float(alpha.sum()), 1e-6))
    paper = np.float32(255 if ink < 128 else 0)
    return (rgba[..., :3] * alpha + paper * (1 - alpha)).round().astype(np.uint8)


def _border(pixels: NDArray[T]) -> NDArray[T]:
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
