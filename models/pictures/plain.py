"""A picture of anything → the model's input: scaled, cut or stretched to size. Knows nothing about what it shows."""

import cv2
import numpy as np

from models.pictures.png import Picture


def cropped(picture: Picture, height: int, width: int) -> Picture:
    """The largest centred part of (rows, columns[, 3]) with the proportions of `height` and `width`, scaled to them."""
    rows, columns = picture.shape[:2]
    if rows * width > columns * height:
        taken = max(1, round(columns * height / width))
        top = (rows - taken) // 2
        return stretched(picture[top : top + taken], height, width)
    taken = max(1, round(rows * width / height))
    left = (columns - taken) // 2
    return stretched(picture[:, left : left + taken], height, width)


def stretched(picture: Picture, height: int, width: int) -> Picture:
    """All of (rows, columns[, 3]), scaled to `height` and `width`, each axis by itself."""
    rows, columns = picture.shape[:2]
    if (rows, columns) == (height, width):
        return picture
    smaller = (min(width, columns), min(height, rows))
    if smaller != (columns, rows):  # first: means over areas, which are none where an axis grows meanwhile
        picture = np.asarray(cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA), np.uint8)
    if smaller == (width, height):
        return picture
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def coloured(picture: Picture, channels: int) -> Picture:
    """(rows, columns[, 3]) → (rows, columns) for one channel, (rows, columns, 3) for three."""
    if channels == 1:
        return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    return picture if picture.ndim == 3 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), np.uint8)
