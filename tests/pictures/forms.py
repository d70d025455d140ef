"""MNIST's digits brought out of MNIST's form, still 28×28 gray with ink 255 on 0: other sizes, places and weights.

Each kind is a function ((28, 28) uint8 digit, Generator) → (28, 28) uint8.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.pictures.realistic import strokes

Picture = NDArray[np.uint8]
Random = np.random.Generator
Form = Callable[[Picture, Random], Picture]


def _box(picture: NDArray[Any]) -> NDArray[Any]:
    """What is inside the ink's bounding box."""
    left, top, width, height = cv2.boundingRect((picture > 0).astype(np.uint8))
    return picture[top : top + height, left : left + width]


def _fitted(ink: NDArray[Any], side: float) -> Picture:
    """The ink scaled so that its longer side is `side` pixels."""
    scale = side / max(ink.shape)
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    small = cv2.resize(ink.astype(np.float32), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.clip(small, 0, 255).round().astype(np.uint8)


def _placed(ink: Picture, top: float, left: float) -> Picture:
    """The ink on an empty field of 28×28, as near to (top, left) as it fits in."""
    field = np.zeros((28, 28), np.uint8)
    row, column = (int(np.clip(round(at), 0, 28 - size)) for at, size in zip((top, left), ink.shape, strict=True))
    field[row : row + ink.shape[0], column : column + ink.shape[1]] = ink
    return field


def _centred(ink: Picture) -> Picture:
    """The ink's box in the middle of the field."""
    return _placed(ink, (28 - ink.shape[0]) / 2, (28 - ink.shape[1]) / 2)


def scaled(digit: Picture, random: Random) -> Picture:
    """The longer side 22 to 26 pixels."""
    return _centred(_fitted(_box(digit), int(random.integers(22, 27))))


def off_centre(digit: Picture, random: Random) -> Picture:
    """Moved by two to eight pixels down or up, or to a side, or both, as far as the field reaches."""
    left, top, _, _ = cv2.boundingRect((digit > 0).astype(np.uint8))
    down, right = random.integers(2, 9, 2) * random.choice([-1, 1], 2) * [(1, 1), (1, 0), (0, 1)][random.integers(3)]
    return _placed(_box(digit), top + down, left + right)


def thinned(digit: Picture, random: Random) -> Picture:
    """Strokes thinner by 0.7 to 1.6 pixels, or until they break."""
    return _reduced(strokes(digit, random, -float(random.uniform(0.7, 1.6)), 0))


def eroded(digit: Picture, _random: Random) -> Picture:
    """The least of each 2×2 pixels."""
    return np.asarray(cv2.erode(digit, np.ones((2, 2), np.uint8)), np.uint8)


def bold(digit: Picture, random: Random) -> Picture:
    """Strokes thicker by 1 to 2.5 pixels."""
    return _reduced(strokes(digit, random, float(random.uniform(1, 2.5)), 0))


def dilated(digit: Picture, _random: Random) -> Picture:
    """The greatest of each 3×3 pixels."""
    return np.asarray(cv2.dilate(digit, np.ones((3, 3), np.uint8)), np.uint8)


def combined(digit: Picture, random: Random) -> Picture:
    """Another size, place and weight at once."""
    changed = (thinned, bold)[random.integers(2)](digit, random)
    ink = _fitted(_box(changed), int(random.integers(17, 27)))
    return _placed(ink, *random.uniform(0, 28 - np.array(ink.shape)))


def _reduced(drawn: NDArray[np.float32]) -> Picture:
    """(336, 336) in [0, 1] → 28×28."""
    return (cv2.resize(drawn, (28, 28), interpolation=cv2.INTER_AREA) * 255).round().astype(np.uint8)


FORMS: dict[str, Form] = {
    form.__name__: form for form in (scaled, off_centre, thinned, eroded, bold, dilated, combined)
}
