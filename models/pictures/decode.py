"""Bytes that a person sent → a picture: formats, limits, orientation, colour modes, transparency.

Knows nothing about HTTP, the model or what is in the picture.
"""

import io
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from models.pictures.errors import NotAnImage, TooLarge, UndecodableImage
from models.pictures.png import MAX_EXIF, Picture, check_rows, cleaned_png

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
REDUCED = 320
"""Larger images are reduced by the largest whole factor that leaves this many pixels along their longer side."""
TILE_WIDTH, TILE_LENGTH = 322, 323
"""TIFF tags (TIFF 6.0, section 15)."""
ORIENTATION = 0x0112
"""EXIF tag (Exif 2.32, section 4.6.4)."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes an orientation."""
FULL_SCALES = (1.0, 255.0, 65_535.0)
"""What white is in images of 32 bits a pixel; the smallest that holds the brightest pixel is taken."""

Image.MAX_IMAGE_PIXELS = None  # `open_image` has its own limit, and Pillow's only warns at first


def open_image(content: bytes, max_pixels: int) -> Image.Image:
    """The image with its header read and nothing decoded yet.

    Raises NotAnImage, UndecodableImage or TooLarge.
    """
    content = cleaned_png(content)
    if canvas := _webp_canvas(content):  # Pillow allocates it when it opens the file
        _check_size(*canvas, canvas[0] * canvas[1], max_pixels)
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        if any(accept and accept(content[:16]) for _, accept in (Image.OPEN[name] for name in FORMATS)):
            raise UndecodableImage("its header is damaged or cut off") from None
        raise NotAnImage(f"send one of {', '.join(FORMATS)}; these {len(content)} bytes are none of them") from None
    except Exception as error:  # decoders raise whatever a damaged header makes them trip over
        raise UndecodableImage(f"its header cannot be read: {error}") from error
    _check_size(image.width, image.height, decoded_pixels(image), max_pixels)
    if image.format == "PNG":
        check_rows(content)
    return image


def _webp_canvas(content: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP file (RFC 9649, sections 2.5 to 2.7), as its first chunk tells them."""
    if not (content.startswith(b"RIFF") and content[8:12] == b"WEBP" and len(content) >= 30):
        return None
    kind, body = content[12:16], content[20:30]
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    bits = int.from_bytes(body[1:5] if kind == b"VP8L" else body[6:10], "little")
    return (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)) if kind == b"VP8L" else (bits & 0x3FFF, bits >> 16 & 0x3FFF)


def _check_size(width: int, height: int, pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise TooLarge(f"the image has {width} x {height} pixels or tiles too large; at most {max_pixels:,} are taken")


def decoded_pixels(image: Image.Image) -> int:
    """How many pixels decoding will hold at once: those of the image, or of one tile of a TIFF, if that is larger."""
    tile = 0
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tile = int(image.tag_v2.get(TILE_WIDTH, 0)) * int(image.tag_v2.get(TILE_LENGTH, 0))
    return max(image.width * image.height, tile)


def to_picture(image: Image.Image) -> Picture:
    """Decodes any mode → (height, width) or (height, width, 3) uint8, upright, its longer side below 2 `REDUCED`.

    Raises UndecodableImage.
    """
    kind = image.format
    try:
        image.draft(None, (REDUCED, REDUCED))
        image.load()
        image = _upright(image)
        if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits a pixel
            return _deep_to_gray(image)
        if image.has_transparency_data:
            return _flatten(np.asarray(_shrink(image.convert("RGBA")), np.float32))
        return np.asarray(_shrink(image if image.mode in ("L", "RGB") else image.convert("RGB")), np.uint8)
    except Exception as error:  # as above
        raise UndecodableImage(f"the {kind} image cannot be decoded: {error}") from error


def _deep_to_gray(image: Image.Image) -> Picture:
    deep = np.asarray(_shrink(image.convert("F")), np.float64)
    deep = np.clip(np.nan_to_num(deep, nan=0, posinf=0, neginf=0), 0, None)
    brightest = float(deep.max())
    scales = FULL_SCALES[-1:] if image.mode.startswith("I;16") else FULL_SCALES
    white = next((scale for scale in scales if brightest <= scale), brightest)
    return (deep * (255 / white)).round().astype(np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    """Follows EXIF orientation; a damaged or too long EXIF block is no reason to refuse the picture."""
    if len(image.info.get("exif", b"")) <= MAX_EXIF:
        with suppress(Exception):  # decoders raise whatever they trip over
            return image.transpose(UPRIGHT[image.getexif()[ORIENTATION]])
    return image


def _shrink(image: Image.Image) -> Image.Image:
    """Averages squares of pixels until the longer side is below twice `REDUCED`."""
    factor = max(image.size) // REDUCED
    return image.reduce(factor) if factor > 1 else image


def _flatten(rgba: NDArray[np.float32]) -> Picture:
    """Puts (height, width, 4) on paper: white, or black under light ink, which white would hide."""
    luminance = rgba[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow's
    alpha = rgba[..., 3:] / 255
    ink = float((luminance * alpha[..., 0]).sum() / max(float(alpha.sum()), 1e-6))
    paper = np.float32(255 if ink < 128 else 0)
    return (rgba[..., :3] * alpha + paper * (1 - alpha)).round().astype(np.uint8)
