"""A digit's strokes at any size and weight → MNIST's form: its size, weight of strokes and place. Knows no pictures.

MNIST's form (LeCun et al. 1998, section III.A): bilevel digits, scaled to a 20×20 box by an anti-aliasing reduction,
with their centre of mass at the centre of a 28×28 field.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]

SIZE = 28
BOX = 20
CENTRE = 14.0
"""Where the centre of mass of MNIST's digits lies, in pixel indices (mean of the training images: 14.0, 14.0)."""
OFF_CENTRE = 0.52
"""Farthest that the centre of mass of any of MNIST's 70,000 images is from `CENTRE` on either axis, rounded up."""
SMALLEST_BOX = 19
"""Longer side of the ink in 16 of MNIST's images; all others have `BOX`."""
BRIGHTEST = (255, 254)
"""Brightest pixel of MNIST's images: 254 in 7,020 of them."""
MOMENTS = np.stack([np.ones((SIZE, SIZE)), *np.mgrid[:SIZE, :SIZE] - CENTRE]).reshape(3, -1).astype(np.float32)
"""(3, 784): times an image's pixels, its mass and its first moments about `CENTRE`, exact in float32."""
FINE = 8
"""Strokes are measured and weighted on a picture so many times as fine as MNIST."""
THIN, THICK = 1.9, 3.4
"""Widths of strokes, in MNIST's pixels, beyond which those that a threshold found are made thicker or thinner; of
MNIST's images, 5 % have thinner and 20 % thicker ones."""
SHADED_THIN, SHADED_THICK = 2.2, 4.0
"""The same for shaded strokes. Chosen on training digits eroded, dilated and scaled (tests/pictures/forms.py)."""
FAINT = 0.2
"""Share of the contrast from which a pixel belongs to a shaded digit's box."""


def blank() -> Pixels:
    """(28, 28) uint8 without ink."""
    return np.zeros((SIZE, SIZE), np.uint8)


def has_mnists_form(pixels: Pixels) -> bool:
    """Whether (28, 28) uint8 pixels have the box, the centre of mass and the contrast of MNIST's images.

    True for all of its 70,000. A box of 20×20 leaves at least eight rows and eight columns of exactly 0.
    """
    _, _, width, height = cv2.boundingRect(pixels)
    values = pixels.tobytes()  # searching bytes takes half of cv2.norm's time
    if not SMALLEST_BOX <= max(width, height) <= BOX or not (BRIGHTEST[0] in values or BRIGHTEST[1] in values):
        return False
    mass, down, right = MOMENTS.dot(pixels.ravel()).tolist()  # a quarter of cv2.moments' time
    farthest = OFF_CENTRE * mass
    return bool(-farthest <= down <= farthest and -farthest <= right <= farthest)


def in_mnists_form(ink: Pixels) -> Pixels:
    """All of `ink` (height, width), of any size, scaled to MNIST's box and put in its place; strokes as they are."""
    if not ink.any():
        return blank()
    digit = _boxed(ink)
    return placed(digit, digit)


def as_mnist(ink: Pixels, chosen: Mask, level: int) -> Pixels:
    """The `chosen` pixels of `ink` (height, width), which are those above `level`, as MNIST would show them."""
    left, top, width, height = cv2.boundingRect(chosen)
    rows, columns = slice(max(0, top - 1), top + height + 1), slice(max(0, left - 1), left + width + 1)
    near = cv2.dilate(chosen[rows, columns], np.ones((3, 3), np.uint8))  # the soft edge, but no neighbours
    shades = _fine(np.asarray(ink[rows, columns] * near, np.uint8))
    fine = (shades > level).astype(np.uint8)
    if not fine.any():  # noise whose single bright pixels are gone when reduced
        return blank()
    fine = _weighted(fine, _stroke_width(fine), THIN, THICK)
    left, top, width, height = cv2.boundingRect(fine)
    box = np.s_[top : top + height, left : left + width]
    return placed(fine[box] * np.uint8(255), shades[box])


def as_shaded(ink: Pixels) -> Pixels:
    """All of `ink` (height, width), of so few pixels that their shades tell more than a threshold leaves of them."""
    fine = _fine(_boxed(ink))
    width = _stroke_width((fine > int(fine.max()) // 2).astype(np.uint8))
    weighted = _weighted(fine, width, SHADED_THIN, SHADED_THICK)
    return in_mnists_form(ink if weighted is fine else weighted)  # not resampled twice without need


def _boxed(ink: Pixels) -> Pixels:
    """What is inside the bounding box of all but faint pixels."""
    left, top, width, height = cv2.boundingRect((ink >= FAINT * float(ink.max())).astype(np.uint8))
    return ink[top : top + height, left : left + width]


def _fine(ink: Pixels) -> Pixels:
    """(height, width) scaled to `FINE` times MNIST's box, with room around it for thicker strokes."""
    return np.pad(fitted(ink, BOX * FINE), 2 * FINE)


def _stroke_width(fine: Mask) -> float:
    """Mean width of the strokes, in pixels: the mean distance to the edge is a quarter of a stroke's width."""
    return 4 * float(cv2.distanceTransform(fine, cv2.DIST_L2, 3)[fine > 0].mean())


def _weighted(fine: Pixels, width: float, thin: float, thick: float) -> Pixels:
    """Strokes that are `width` fine pixels wide brought between `thin` and `thick` pixels of MNIST."""
    if width < thin * FINE:
        return np.asarray(cv2.dilate(fine, _disk((thin * FINE - width) / 2)), np.uint8)
    if width > thick * FINE:
        thinner = np.asarray(cv2.erode(fine, _disk((width - thick * FINE) / 2)), np.uint8)
        return thinner if thinner.any() else fine
    return fine


def placed(digit: NDArray[Any], shades: NDArray[Any]) -> Pixels:
    """(height, width), scaled to fit 20×20, with the centre of mass of its `shades` at the middle of (28, 28)."""
    small = fitted(digit, BOX)
    small = small * (255 / max(float(small.max()), 1.0))  # thin strokes fade when made smaller
    height, width = small.shape
    field = blank()
    top, left = _offset(shades.sum(axis=1), height), _offset(shades.sum(axis=0), width)
    field[top : top + height, left : left + width] = small.round().astype(np.uint8)
    return field


def fitted(picture: NDArray[Any], side: int, reducing: int = cv2.INTER_AREA) -> NDArray[Any]:
    """A picture scaled so that its longer side is `side`; `reducing` is OpenCV's interpolation for larger ones."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=reducing if scale < 1 else cv2.INTER_CUBIC))


def _offset(profile: NDArray[Any], length: int) -> int:
    """Where a digit of `length` pixels starts so that the centre of mass of its projection comes to `CENTRE`."""
    mass = float((profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum()) * length / len(profile) - 0.5
    return int(np.clip(round(CENTRE - mass), 0, SIZE - length))


def _disk(radius: float) -> NDArray[Any]:
    whole = max(1, round(radius))
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * whole + 1, 2 * whole + 1))
