"""Bytes that a person sent → the 28×28 image that the model knows. Knows nothing about HTTP or the model.

MNIST's own form (LeCun et al. 1998, section III.A): ink 255 on background 0, the digit scaled to a 20×20 box and
put with its centre of mass at the centre of a 28×28 field.
"""

import io
from contextlib import suppress
from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from serving.errors import NotAnImage, TooLarge, UndecodableImage

T = TypeVar("T", bound=np.generic)

SIZE = 28
BOX = 20
CENTRE = 14.0
"""Where the centre of mass of MNIST's digits lies, in pixel indices (mean of the training images: 14.0, 14.0)."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
LOSSLESS = ("PNG", "BMP", "TIFF")
DARK_BORDER = 32
"""Mean of the outermost pixels up to which a border is dark; the largest among MNIST's training images is 8.6."""
INK = 0.2
"""Share of the contrast from which a pixel counts as ink when the digit is cut out."""
FLAT = 16
"""Contrast, of 255, below which an image is blank."""
REDUCED = 512
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


def to_digit(image: Image.Image) -> NDArray[np.uint8]:
    """Decodes `image` and makes it look like MNIST: (28, 28) uint8.

    An 8-bit gray, lossless 28×28 image with a dark border has that form already and passes through bit-exact.
    Raises UndecodableImage.
    """
    try:
        lossless = image.format in LOSSLESS
        image.draft("L", (REDUCED, REDUCED))
        image.load()
        _turn_upright(image)
        if lossless and image.mode == "L" and image.size == (SIZE, SIZE) and not image.has_transparency_data:
            pixels = np.asarray(image)
            if _border(pixels).mean() <= DARK_BORDER:
                return pixels
        gray = to_gray(image)
    except Exception as error:  # as above
        raise UndecodableImage(f"the {image.format} image cannot be decoded: {error}") from error
    return centre(cut_out(gray))


def to_gray(image: Image.Image) -> NDArray[np.float32]:
    """Any mode → (height, width) float32 in [0, 255]."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits a pixel
        return _deep_to_gray(image)
    if image.has_transparency_data:
        return _flatten(np.asarray(_shrink(image.convert("RGBA")), np.float32))
    return np.asarray(_shrink(image.convert("L")), np.float32)


def _deep_to_gray(image: Image.Image) -> NDArray[np.float32]:
    deep = np.asarray(_shrink(image.convert("F")), np.float64)
    deep = np.clip(np.nan_to_num(deep, nan=0, posinf=0, neginf=0), 0, None)
    brightest = float(deep.max())
    if image.mode.startswith("I;16"):
        white = FULL_SCALES[-1]
    else:
        white = next((scale for scale in FULL_SCALES if brightest <= scale), brightest)
    return (deep * (255 / white)).astype(np.float32)


def _turn_upright(image: Image.Image) -> None:
    """Follows EXIF orientation; a damaged EXIF block is no reason to refuse the picture."""
    with suppress(Exception):  # decoders raise whatever they trip over
        ImageOps.exif_transpose(image, in_place=True)


def _shrink(image: Image.Image) -> Image.Image:
    """Averages squares of pixels until the longer side is below twice `REDUCED`."""
    factor = max(image.size) // REDUCED
    return image.reduce(factor) if factor > 1 else image


def _flatten(rgba: NDArray[np.float32]) -> NDArray[np.float32]:
    """Puts (height, width, 4) on paper: white, or black under light ink, which white would hide."""
    luminance = rgba[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow's
    alpha = rgba[..., 3] / 255
    ink = float((luminance * alpha).sum() / max(float(alpha.sum()), 1e-6))
    paper = np.float32(255 if ink < 128 else 0)
    return (luminance * alpha + paper * (1 - alpha)).astype(np.float32)


def cut_out(gray: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The ink of a picture as light on dark with full contrast, cropped: (height, width) uint8, at least 1×1."""
    border = float(np.median(_border(gray)))
    if border > (float(gray.min()) + float(gray.max())) / 2:  # dark ink on light paper
        gray, border = 255 - gray, 255 - border
    ink = np.clip(gray - border, 0, None)
    peak = float(ink.max())
    if peak < FLAT:
        return np.zeros((1, 1), np.uint8)
    inked = ink >= INK * peak
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] * (255 / peak)
    return np.asarray(cropped.round(), np.uint8)


def centre(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scales (height, width) to fit 20×20 and puts its centre of mass at the middle of (28, 28)."""
    field = np.zeros((SIZE, SIZE), np.uint8)
    if not ink.any():
        return field
    height, width = ink.shape
    scale = BOX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    digit = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BICUBIC), np.float32)
    digit = digit * (255 / max(float(digit.max()), 1.0))  # thin strokes fade when made smaller
    top = _offset(digit.sum(axis=1))
    left = _offset(digit.sum(axis=0))
    field[top : top + digit.shape[0], left : left + digit.shape[1]] = digit.round().astype(np.uint8)
    return field


def _offset(profile: NDArray[np.float32]) -> int:
    """Where a projection of the digit starts so that its centre of mass comes to `CENTRE`."""
    mass = float((profile * np.arange(len(profile))).sum() / profile.sum())
    return int(np.clip(round(CENTRE - mass), 0, SIZE - len(profile)))


def _border(pixels: NDArray[T]) -> NDArray[T]:
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
