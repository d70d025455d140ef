"""The strokes of a digit at any size and weight → MNIST's size, weight and place. Knows no pictures.

MNIST's own form (LeCun et al. 1998, section III.A): bilevel digits scaled to a 20×20 box by an anti-aliasing
reduction and put with their centre of mass at the centre of a 28×28 field.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]

SIZE = 28
BOX = 20
CENTRE = 14.0
"""Where the centre of mass of MNIST's digits lies, in pixel indices (mean of the training images: 14.0, 14.0)."""
FINE = 8
"""Strokes are measured and weighted on a picture so many times as fine as MNIST."""
THIN, THICK = 1.9, 3.4
"""Widths of strokes, in MNIST's pixels, beyond which they are made thicker or thinner."""

FAINT = 0.2
"""Share of the contrast from which a pixel belongs to a shaded digit's box."""


def blank() -> NDArray[np.uint8]:
    """(28, 28) uint8 without ink."""
    return np.zeros((SIZE, SIZE), np.uint8)


def as_mnist(ink: NDArray[np.uint8], chosen: Mask, level: int) -> NDArray[np.uint8]:
    """The `chosen` pixels of `ink` (height, width), which are those above `level`, as MNIST would show them."""
    left, top, width, height = cv2.boundingRect(chosen)
    rows, columns = slice(max(0, top - 1), top + height + 1), slice(max(0, left - 1), left + width + 1)
    near = cv2.dilate(chosen[rows, columns], np.ones((3, 3), np.uint8))  # the soft edge, but no neighbours
    shades = np.pad(_fitted(ink[rows, columns] * near, BOX * FINE, cv2.INTER_CUBIC), 2 * FINE)
    fine = (shades > level).astype(np.uint8)
    if not fine.any():  # noise whose single bright pixels are gone when reduced
        return blank()
    fine = weighted(fine)
    left, top, width, height = cv2.boundingRect(fine)
    box = np.s_[top : top + height, left : left + width]
    return centred(fine[box] * np.uint8(255), shades[box])


def as_shaded(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """All of `ink` (height, width), of so few pixels that their shades tell more than a threshold leaves of them."""
    left, top, width, height = cv2.boundingRect((ink >= FAINT * float(ink.max())).astype(np.uint8))
    digit = ink[top : top + height, left : left + width]
    return centred(digit, digit)


def weighted(fine: Mask) -> Mask:
    """Strokes brought between THIN and THICK; the mean distance to the edge is a quarter of a stroke's width."""
    width = 4 * float(cv2.distanceTransform(fine, cv2.DIST_L2, 3)[fine > 0].mean())
    if width < THIN * FINE:
        return np.asarray(cv2.dilate(fine, _disk((THIN * FINE - width) / 2)), np.uint8)
    if width > THICK * FINE:
        thinner = np.asarray(cv2.erode(fine, _disk((width - THICK * FINE) / 2)), np.uint8)
        return thinner if thinner.any() else fine
    return fine


def centred(digit: NDArray[np.uint8], shades: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scales (height, width) to fit 20×20 and puts the centre of mass of its `shades` at the middle of (28, 28)."""
    small = _fitted(digit, BOX, cv2.INTER_CUBIC)
    small = small * (255 / max(float(small.max()), 1.0))  # thin strokes fade when made smaller
    height, width = small.shape
    field = blank()
    top, left = _offset(shades.sum(axis=1), height), _offset(shades.sum(axis=0), width)
    field[top : top + height, left : left + width] = small.round().astype(np.uint8)
    return field


def _fitted(picture: NDArray[Any], side: int, enlarging: int) -> NDArray[Any]:
    height, width = picture.shape
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else enlarging))


def _offset(profile: NDArray[Any], length: int) -> int:
    """Where a digit of `length` pixels starts so that the centre of mass of its projection comes to `CENTRE`."""
    mass = float((profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum()) * length / len(profile) - 0.5
    return int(np.clip(round(CENTRE - mass), 0, SIZE - length))


def _disk(radius: float) -> NDArray[Any]:
    whole = max(1, round(radius))
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * whole + 1, 2 * whole + 1))
