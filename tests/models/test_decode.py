import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.pictures.decode import open_image
from models.pictures.errors import NotAnImage, TooLarge, UndecodableImage
from models.pictures.preparation import DIGIT_INPUT, preparation
from models.pictures.strokes import SIZE
from tests.conftest import Digits
from tests.pictures.uploads import encoded, enlarged, png_header

PIXELS = 25_000_000
DIGIT = preparation(DIGIT_INPUT)


def seen(content: bytes) -> NDArray[np.uint8]:
    return DIGIT.prepare(open_image(content, PIXELS)).pixels


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Correlation of two images, the best of shifts by a pixel: hundredths decide where a centre of mass is rounded."""
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    flat = other.ravel().astype(float)
    return max(float(np.corrcoef(np.roll(one, shift, (0, 1)).ravel().astype(float), flat)[0, 1]) for shift in shifts)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_lossless_mnist_image_passes_bit_exact(digits: Digits, kind: str) -> None:
    for image in digits[0][:50]:
        np.testing.assert_array_equal(seen(encoded(image, kind)), image)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("dark_ink", [False, True])
def test_every_format_and_polarity_gives_the_digit_back(digits: Digits, kind: str, dark_ink: bool) -> None:
    image = digits[0][0]
    picture = enlarged(image)
    assert likeness(seen(encoded(ImageOps.invert(picture) if dark_ink else picture, kind)), image) > 0.95


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA", "LA", "1", "CMYK"])
def test_every_mode_gives_the_digit_back(digits: Digits, mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert likeness(seen(encoded(enlarged(digits[0][0]).convert(mode), kind)), digits[0][0]) > 0.9


def test_sixteen_bits_a_pixel(digits: Digits) -> None:
    deep = np.asarray(enlarged(digits[0][0]), np.uint16) * 257
    assert likeness(seen(encoded(deep)), digits[0][0]) > 0.95


@pytest.mark.parametrize("ink", [0, 255])
def test_ink_on_a_transparent_ground(digits: Digits, ink: int) -> None:
    alpha = np.asarray(enlarged(digits[0][0]))
    rgba = np.stack([np.full_like(alpha, ink)] * 3 + [alpha], axis=-1)
    assert likeness(seen(encoded(rgba)), digits[0][0]) > 0.95


def test_a_gray_digit_with_transparency_is_no_mnist_image(digits: Digits) -> None:
    image = Image.fromarray(digits[0][0])
    assert seen(encoded(image, transparency=0)).any()


def test_exif_orientation_is_followed(digits: Digits) -> None:
    turned = enlarged(digits[0][0]).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me clockwise by 90°"
    assert likeness(seen(encoded(turned, "JPEG", exif=exif, quality=95)), digits[0][0]) > 0.95


def test_a_small_digit_in_a_corner_is_found_and_scaled(digits: Digits) -> None:
    canvas = np.full((600, 400), 250, np.uint8)
    canvas[20:76, 300:356] = 255 - np.asarray(enlarged(digits[0][0], 2))
    canvas[20:76, 300:356] = np.minimum(canvas[20:76, 300:356], 250)
    assert likeness(seen(encoded(canvas)), digits[0][0]) > 0.9


def test_the_digit_fills_the_box_and_its_mass_is_centred(digits: Digits) -> None:
    for image in digits[0][:50]:
        result = seen(encoded(255 - np.asarray(enlarged(image, 5)))).astype(float)
        rows, columns = np.nonzero(result > 51)
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        mass = [(result.sum(axis) * np.arange(SIZE)).sum() / result.sum() for axis in (0, 1)]
        assert np.abs(np.array(mass) - 14).max() <= 0.75


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (28, 28), (300, 200)])
def test_a_blank_image_is_blank(value: int, shape: tuple[int, int]) -> None:
    assert not seen(encoded(np.full(shape, value, np.uint8))).any()


def test_a_line_one_pixel_wide_survives() -> None:
    canvas = np.full((2000, 2000), 255, np.uint8)
    canvas[300:1700, 1000:1012] = 0
    assert seen(encoded(canvas)).max() == 255


def test_large_images_are_decoded() -> None:
    canvas = np.full((4000, 6000), 255, np.uint8)
    canvas[1000:3000, 2900:3100] = 0
    for kind in ("PNG", "JPEG"):
        result = seen(encoded(canvas, kind))
        rows, columns = np.nonzero(result > 128)
        assert np.ptp(rows) + 1 == 20
        assert np.ptp(columns) + 1 <= 3


def test_what_is_no_image_is_refused() -> None:
    for content in (b"plain text", b"%PDF-1.7", b"<svg/>", b"\0" * 100, b"x"):
        with pytest.raises(NotAnImage, match="PNG"):
            seen(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_truncated_image_is_refused_and_shows_no_old_pixels(digits: Digits, kind: str) -> None:
    content = encoded(enlarged(digits[0][0]).convert("RGB"), kind)
    seen(content)
    with pytest.raises((UndecodableImage, NotAnImage)):
        seen(content[: len(content) // 2])


def test_the_pixel_limit_is_checked_before_decoding() -> None:
    with pytest.raises(TooLarge, match="30000 x 30000"):
        open_image(png_header(30_000, 30_000), PIXELS)


def test_a_tiff_of_enormous_tiles_is_refused() -> None:
    tile = zlib.compress(bytes(100))
    tags = [(256, 28), (257, 28), (258, 8), (259, 8), (262, 1), (277, 1), (322, 40_000), (323, 40_000)]
    tags += [(324, 200), (325, len(tile))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    with pytest.raises(TooLarge):
        seen(header.ljust(200, b"\0") + tile)


@pytest.mark.parametrize("inside", [-np.inf, np.nan, -3e38, 3e38])
@pytest.mark.parametrize("outside", [np.inf, 3e38, 0])
def test_floating_point_images_of_any_values(inside: float, outside: float) -> None:
    canvas = np.full((40, 40), outside, np.float32)
    canvas[10:30, 10:30] = inside
    assert seen(encoded(canvas, "TIFF")).shape == (SIZE, SIZE)


def test_a_noisy_blank_page_of_sixteen_bits_is_blank() -> None:
    noise = np.random.default_rng(0).integers(0, 20, (300, 300))
    assert not seen(encoded((30_000 + noise).astype(np.uint16))).any()


def test_a_damaged_exif_block_is_no_reason_to_refuse(digits: Digits) -> None:
    assert seen(encoded(enlarged(digits[0][0]), exif=b"Exif\0\0garbage!")).any()


def test_damaged_bytes_never_raise_anything_else(digits: Digits) -> None:
    """300 single-byte mutations of each format: an answer or one of our errors, nothing else."""
    random = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"):
        content = encoded(enlarged(digits[0][0], 2).convert("RGB"), kind)
        for _ in range(300):
            damaged = bytearray(content)
            damaged[random.integers(len(damaged))] = random.integers(256)
            try:
                result = DIGIT.prepare(open_image(bytes(damaged), 1_000_000)).pixels
            except (NotAnImage, UndecodableImage, TooLarge):
                continue
            assert result.shape == (SIZE, SIZE)
            assert result.dtype == np.uint8
