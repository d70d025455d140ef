"""A picture of a digit → 28×28 as in MNIST. Knows nothing about files, their formats or the model.

A picture is (height, width) or (height, width, 3) uint8. The steps: the channel that shows most → dark ink on even
light → ink or not → without ruled lines → the piece of ink that is the digit → MNIST's size, stroke and place.
Thresholds without another source were chosen on the 16 kinds of upload in tests/pictures/realistic.py.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures.pieces import main_piece, without_lines
from models.pictures.strokes import SIZE, as_mnist, as_shaded, blank, fitted, has_mnists_form

Gray = NDArray[np.uint8]

WORK = 320
"""Larger pictures are reduced to this many pixels along their longer side."""
THUMBNAIL = 96
"""What varies slowly (light, ground) is seen on a picture of this many pixels along its longer side."""
TINY = 48
"""Pictures up to this many pixels along their longer side are taken as evenly lit."""
WIDEST = 3
"""Dark areas wider than 1/WIDEST of the longer side are shadow, not ink."""
FLAT = 16
"""Contrast, of 255, below which a picture is blank."""
NOISE = 5
"""A pixel this many standard deviations of the noise above the ground can be ink."""
DARKEST_PAPER = 40
"""Lower bound of the paper's shade, of 255: dividing by less would amplify noise to ink."""


def digit_of(picture: Gray) -> tuple[Gray, bool]:
    """The digit in a picture, (height, width[, 3]) uint8 of any size, and whether there may be several.

    Returns:
        (28, 28) uint8, ink 255, 0 where there is none; what has MNIST's form passes bit-exact. Of several digits it is
        the one with most ink, or all of a pattern. Pictures of at most `TINY` pixels a side are taken whole.
    """
    ink = ink_of(sheet_of(telling_channel(_reduced(picture, WORK, cv2.INTER_LINEAR))))
    if ink.shape == (SIZE, SIZE) and has_mnists_form(ink):
        return ink, False
    if max(ink.shape) <= TINY:
        return as_shaded(ink) if int(ink.max()) >= FLAT else blank(), False
    level = ink_level(ink)
    if level is None:
        return blank(), False
    chosen, several = main_piece(without_lines((ink > level).astype(np.uint8)))
    return as_mnist(ink, chosen, level), several


def telling_channel(picture: Gray) -> Gray:
    """Gray as the eye sees it, or that of red, green and blue in which the ink stands out much better."""
    if picture.ndim == 2:
        return picture
    channels = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), *cv2.split(picture)]
    step = max(1, max(picture.shape) // THUMBNAIL)
    contrasts = [_contrast(np.ascontiguousarray(channel[::step, ::step], np.uint8)) for channel in channels]
    best = int(np.argmax(contrasts))
    return _bytes(channels[best if contrasts[best] > 1.5 * contrasts[0] else 0])


def _contrast(gray: Gray) -> float:
    """Mean difference from the surrounding ground, over the 1 % of pixels that differ most."""
    smooth = cv2.GaussianBlur(gray, (3, 3), 0)
    difference = cv2.absdiff(smooth, cv2.boxFilter(smooth, -1, (31, 31))).ravel()
    most = max(1, difference.size // 100)
    return float(np.partition(difference, -most)[-most:].mean())


def _reduced(picture: Gray, side: int, interpolation: int = cv2.INTER_AREA) -> Gray:
    """Reduced until its longer side is at most `side`."""
    return _bytes(fitted(picture, side, interpolation)) if max(picture.shape[:2]) > side else picture


def sheet_of(gray: Gray) -> Gray:
    """The inside of a frame, or a sheet of paper on a table (a board on a wall) without what lies around it."""
    small = _reduced(gray, THUMBNAIL)
    if min(small.shape) < TINY:
        return gray
    _, light = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    for side in (_bytes(light), _bytes(1 - light)):
        contours, _ = cv2.findContours(side, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        largest = max(contours, key=cv2.contourArea, default=None)
        if largest is not None and _is_sheet(largest, side):
            return _within(gray, largest, small.shape)
    return gray


def _is_sheet(contour: Any, side: Gray) -> bool:
    """Whether this is a large rectangle with something on it, cut off by the picture's edge on one side at most.

    It fills 90 % of its smallest rectangle, and between 60 and 99.8 % of it is bare.
    """
    left, top, width, height = cv2.boundingRect(contour)
    edges = (left == 0) + (top == 0) + (left + width == side.shape[1]) + (top + height == side.shape[0])
    area = cv2.contourArea(contour)
    if edges > 1 or area < 0.1 * side.size:
        return False
    _, (one, other), _ = cv2.minAreaRect(contour)
    filled = cv2.drawContours(np.zeros_like(side), [contour], -1, 1, -1)
    bare = float(side[filled > 0].mean())
    return area > 0.9 * one * other and 0.6 < bare < 0.998


def _within(gray: Gray, contour: Any, shape: tuple[int, ...]) -> Gray:
    """Cut out along the contour, which was found on a thumbnail of `shape`; its corners get the sheet's shade."""
    mask = cv2.drawContours(np.zeros(shape, np.uint8), [contour], -1, 1, -1)
    mask = cv2.erode(np.pad(mask, 1), np.ones((5, 5), np.uint8))[1:-1, 1:-1]
    inside = cv2.resize(mask, gray.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    left, top, width, height = cv2.boundingRect(inside.astype(np.uint8))
    cut = np.s_[top : top + height, left : left + width]
    return np.where(inside, gray, np.uint8(np.median(gray[inside][::16])))[cut]


def ink_of(gray: Gray) -> Gray:
    """How much ink is on each pixel, as (height, width) uint8: light evened out, whichever of ink and ground is dark.

    The ground is a morphological closing: it fills what is dark and narrow and keeps a shadow's edge where it is.
    """
    gray = _bytes(cv2.GaussianBlur(gray, (3, 3), 0)) if max(gray.shape) > TINY else gray
    small = _reduced(gray, THUMBNAIL)
    side = max(small.shape)
    width = side // WIDEST if side > TINY else 2 * side
    kernel = np.ones((width, width), np.uint8)
    lit, unlit = (_bytes(cv2.morphologyEx(small, how, kernel)) for how in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN))
    if _ground_is_dark(small, lit, unlit, kernel):
        return _bytes(cv2.subtract(gray, _enlarged(unlit, gray)))
    paper = _enlarged(lit, gray)
    return _bytes(cv2.divide(cv2.subtract(paper, gray), np.maximum(paper, np.uint8(DARKEST_PAPER)), scale=255))


def _ground_is_dark(gray: Gray, lit: Gray, unlit: Gray, kernel: NDArray[np.uint8]) -> bool:
    """Whether most pixels around ink are nearer to the darkest than to the lightest pixel near by.

    Ink is where the closing `lit` or the opening `unlit` changes something. Light multiplies, so the middle between
    two shades is the geometric one: paper in a shadow is nearer to paper than to ink.
    """
    if max(gray.shape) <= TINY:  # too few pixels to tell ink from what is around it, but evenly lit
        edge = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
        return float(np.median(edge)) <= (float(gray.min()) + float(gray.max())) / 2
    changed = cv2.max(cv2.subtract(lit, gray), cv2.subtract(gray, unlit))
    near = cv2.dilate(_bytes(changed > int(changed.max()) // 2), kernel) > 0
    if not near.any():
        return False
    light, dark = cv2.dilate(gray, kernel)[near] + 16.0, cv2.erode(gray, kernel)[near] + 16.0
    return float(((gray[near] + 16.0) ** 2 < light * dark).mean()) > 0.5


def _enlarged(small: Any, like: Gray) -> Gray:
    smooth = cv2.GaussianBlur(small, (3, 3), 0)
    return _bytes(cv2.resize(smooth, like.shape[::-1], interpolation=cv2.INTER_LINEAR))


def ink_level(ink: Gray) -> int | None:
    """From where on a pixel is ink: Otsu's threshold (1979) of the pixels above the noise; None for a blank picture."""
    steps = cv2.absdiff(ink[:, 1:], ink[:, :-1])[::2, ::2] if ink.shape[1] > 1 else ink
    usual = 3 * float(np.median(steps[::2, ::2])) + 3  # steps beyond are strokes
    noise = float(np.mean(np.minimum(steps, usual))) * 0.89  # a normal distribution's differences: mean √(4/π) σ
    floor = max(FLAT / 2, NOISE * noise)
    above = ink[ink > floor]
    if above.size == 0 or int(above.max()) < FLAT:
        return None
    level, _ = cv2.threshold(above.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return int(min(max(0.8 * level, floor), int(above.max()) - 1))


def _bytes(values: Any) -> Gray:
    return np.asarray(values, np.uint8)
