"""Selects the connected pieces of ink that are the digit, and rejects ruled lines, frames and specks.

A mask is (height, width) uint8, 1 where there is ink; shades are unknown here. Thresholds without another source were
chosen on the 16 kinds of upload in tests/pictures/realistic.py.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures.strokes import Mask

Flags = NDArray[np.bool_]

REACH = 8
"""Half of the widest ruled line, in pixels of a picture whose longer side is 320."""
CROSSING = 0.7
"""A ruled line crosses at least this share of the picture."""
GAP = 0.2
"""A piece farther away than this share of the digit's longer side does not belong to the digit."""
APART = 0.06
"""A gap wider than this share of the digit's height separates two digits."""
OTHER = 0.35
"""A separate piece taller than this share of the digit's height may be a second digit."""
PATTERN = 5
"""At least so many pieces of equal size are a pattern (bricks, dots, squares) if half of all but specks are among them.
A page of different digits is no pattern; five typed zeros are one."""
MOST_LINES = 100
"""Candidate lines checked in each direction: bounds the time that noise, which is full of them, can take."""


def without_lines(mask: Mask) -> Mask:
    """Erases the lines that run across the whole picture, but not the strokes that cross them."""
    rest = _erased(mask, mask)
    rest = np.ascontiguousarray(_erased(np.ascontiguousarray(rest.T), np.ascontiguousarray(mask.T)).T)
    # Where lines are nearly all there is, they were no ruled lines but the drawing itself.
    return rest if cv2.countNonZero(rest) > 0.1 * cv2.countNonZero(mask) else mask


def _erased(mask: Mask, whole: Mask) -> Mask:
    """Erases from `mask` the lines of the `whole` mask that run from left to right within 12° of level.

    Lines are sought in the whole mask since those of the other direction, erased before, leave gaps.
    """
    height, width = mask.shape
    if min(height, width) < 4 * REACH or whole.any(axis=0).mean() < CROSSING:
        return mask
    half = whole[: height // 2 * 2, : width // 2 * 2]
    half = np.ascontiguousarray(half[::2, ::2] | half[1::2, ::2])  # a quarter of the pixels for Hough's transform
    votes = int(0.6 * half.shape[1])  # less than CROSSING: a line at an angle spreads over several rows
    found = cv2.HoughLines(half, 1, np.pi / 180, votes, min_theta=np.pi * 0.433, max_theta=np.pi * 0.567)
    if found is None:
        return mask
    padded, sought = (np.pad(one, ((2 * REACH, 2 * REACH), (0, 0))) for one in (mask, whole))
    columns = np.arange(width)
    for rho, theta in found.reshape(-1, 2)[:MOST_LINES]:  # x cos θ + y sin θ = ρ, at half the size
        rows = np.round((2 * rho - columns * np.cos(theta)) / np.sin(theta)).astype(int)
        inside = (rows >= 0) & (rows < height)
        if inside.mean() >= CROSSING:
            _erase(padded, sought, rows[inside] + 2 * REACH, columns[inside])
    return padded[2 * REACH : -2 * REACH]


def _erase(padded: Mask, sought: Mask, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
    """Erases from `padded` the line through (`rows`, `columns`) if the `sought` mask has it from end to end."""
    around = rows + np.arange(-REACH, REACH + 1)[:, None]  # (2 REACH + 1, columns)
    band = sought[around, columns]
    hit = band[REACH - 2 : REACH + 3].any(axis=0)  # ink within two pixels: the fitted line is straight, paper is not
    end = max(1, len(hit) // 20)  # a stroke of the digit seldom reaches both ends of the picture
    if hit.mean() < 0.8 or hit[:end].mean() < 0.5 or hit[-end:].mean() < 0.5:
        return
    half = int(np.median(band.sum(axis=0)[hit]) / 2) + 1  # half of the line's width, and its soft edge
    if half >= REACH - 1:
        return
    # A column with ink just outside the line is where a stroke crosses it: left as it is.
    alone = (band[REACH - half - 1] == 0) & (band[REACH + half + 1] == 0)
    erased = around[REACH - half : REACH + half + 1][:, alone]
    padded[erased, columns[alone]] = 0


class Pieces:
    """The connected pieces of ink in a mask: where each lies, and how much it counts."""

    def __init__(self, mask: Mask) -> None:
        count, self.labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
        boxes = stats[1:].astype(np.int64)  # left, top, width, height, area
        self.left, self.top, self.width, self.height = boxes[:, :4].T
        self.right, self.bottom = self.left + self.width, self.top + self.height
        self.area = boxes[:, 4].astype(float)
        """Pixels; 0 for what is no digit."""
        self.count = count - 1
        self.mask = mask

    def drop_what_is_no_digit(self) -> None:
        """Sets the area of pieces at the picture's edge, and of lines, to 0 if anything else remains."""
        height, width = self.mask.shape
        at_edge = (self.left == 0) | (self.top == 0) | (self.right == width) | (self.bottom == height)
        # A tenth of the largest piece, or 0.4 % of the picture, is more than specks: the digit, and not at the edge.
        inner = self.area * ~at_edge
        if inner.max() > 0.1 * self.area.max() or inner.max() > 0.004 * self.mask.size:
            self.area = inner
        # A line is long in one direction and on average thinner than about 1.5 % of the picture.
        spans = (self.width > 0.75 * width) | (self.height > 0.75 * height)
        line = spans & (self.area < 0.015 * max(self.mask.shape) * (self.width + self.height))
        if (~line & (self.area > 0) & (self.height > 0.1 * height)).any():
            self.area = self.area * ~line

    def main(self) -> int:
        """The largest piece; if other pieces lie inside its box, it is a frame and the largest of them is taken.

        Ends because each box lies strictly inside the one before. Pieces lower than 0.3 of it are no digit in a frame.
        """
        main = int(self.area.argmax())
        while True:
            within = (self.area > 0) & (self.left > self.left[main]) & (self.right < self.right[main])
            within &= (self.top > self.top[main]) & (self.bottom < self.bottom[main])
            within &= self.height > 0.3 * self.height[main]
            if not within.any():
                return main
            main = int((self.area * within).argmax())

    def belonging_to(self, main: int) -> Flags:
        """Which pieces are parts of the digit whose largest is `main`: near it, and no speck, neighbour or frame."""
        margin = GAP * max(self.width[main], self.height[main])
        near = (self.left < self.right[main] + margin) & (self.right > self.left[main] - margin)
        near &= (self.top < self.bottom[main] + margin) & (self.bottom > self.top[main] - margin)
        # Smaller than 3 % of it is a speck, 2.5 times as tall is no part of it.
        near &= (self.area > 0.03 * self.area[main]) & (self.height <= 2.5 * self.height[main])
        # Another digit stands beside it and is about as tall; the separate bar of a 5 is not.
        gap = np.maximum(self.left - self.right[main], self.left[main] - self.right)
        beside = (gap > APART * self.height[main]) & (self.height > 0.6 * self.height[main])
        near &= ~(beside | self.around(main))
        near[main] = True
        return np.asarray(near, np.bool_)

    def are_a_pattern(self, main: int) -> bool:
        """Whether `PATTERN` pieces, and half of all but specks, have the `main` one's size within about 10 %."""
        alike = np.abs(self.width - self.width[main]) <= 1 + 0.1 * self.width[main]
        alike &= np.abs(self.height - self.height[main]) <= 1 + 0.1 * self.height[main]
        alike &= np.abs(self.area - self.area[main]) <= 0.2 * self.area[main]
        return bool(alike.sum() >= max(PATTERN, 0.5 * (self.area > 0.1 * self.area[main]).sum()))

    def around(self, main: int) -> Flags:
        """Which pieces' boxes contain the `main` one's: frames, and `main` itself."""
        wide = (self.left <= self.left[main]) & (self.right >= self.right[main])
        return np.asarray(wide & (self.top <= self.top[main]) & (self.bottom >= self.bottom[main]), np.bool_)


def main_piece(mask: Mask) -> tuple[Mask, bool]:
    """Selects the digit among the pieces of ink.

    The digit is the largest piece and its parts; frames, specks and what lies along the picture's edge only if there is
    nothing else. A pattern is taken whole.

    Returns:
        The digit's mask, (height, width) uint8, and whether another piece could be a digit too.
    """
    pieces = Pieces(mask)
    if not pieces.count:
        return mask, False
    pieces.drop_what_is_no_digit()
    main = pieces.main()
    if pieces.are_a_pattern(main):
        return mask, True
    belongs = pieces.belonging_to(main)
    if belongs.all():
        return mask, False
    other = ~(belongs | pieces.around(main)) & (pieces.area > 0) & (pieces.height > OTHER * pieces.height[main])
    top, bottom = pieces.top[belongs].min(), pieces.bottom[belongs].max()
    left, right = pieces.left[belongs].min(), pieces.right[belongs].max()
    chosen = np.zeros_like(mask)
    chosen[top:bottom, left:right] = np.concatenate([[False], belongs])[pieces.labels[top:bottom, left:right]]
    return chosen, bool(other.any())
