"""Which of the pieces of ink in a picture are the digit: no ruled lines, no frames, no specks. Knows nothing of shades.

A mask is (height, width) uint8, 1 where there is ink.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures.strokes import Mask

Flags = NDArray[np.bool_]

REACH = 8
"""Half of the widest ruled line, in pixels."""
CROSSING = 0.7
"""Share of the picture that a ruled line runs across."""
GAP = 0.2
"""Share of the digit's longer side up to which a piece of ink beside it belongs to it."""
APART = 0.06
"""Share of the digit's height from which on a piece as tall beside it is another digit."""
OTHER = 0.35
"""Share of the digit's height from which on a piece that does not belong to it could be a digit too."""
PATTERN = 5
"""Pieces of one size from which on they are a pattern (bricks, dots, squares), if they are half of all but specks: a
page of digits is none, but five typed zeros are."""
MOST_LINES = 100
"""Candidates of ruled lines looked at in each direction."""


def without_lines(mask: Mask) -> Mask:
    """Without the lines that run across the whole picture; what crosses them stays whole."""
    rest = _erased(mask, mask)
    rest = np.ascontiguousarray(_erased(np.ascontiguousarray(rest.T), np.ascontiguousarray(mask.T)).T)
    return rest if cv2.countNonZero(rest) > 0.1 * cv2.countNonZero(mask) else mask


def _erased(mask: Mask, whole: Mask) -> Mask:
    """Without what runs in the `whole` mask from the left to the right within 12° of level."""
    height, width = mask.shape
    if min(height, width) < 4 * REACH or whole.any(axis=0).mean() < CROSSING:
        return mask
    half = whole[: height // 2 * 2, : width // 2 * 2]
    half = np.ascontiguousarray(half[::2, ::2] | half[1::2, ::2])
    votes = int(0.6 * half.shape[1])
    found = cv2.HoughLines(half, 1, np.pi / 180, votes, min_theta=np.pi * 0.433, max_theta=np.pi * 0.567)
    if found is None:
        return mask
    padded, sought = (np.pad(one, ((2 * REACH, 2 * REACH), (0, 0))) for one in (mask, whole))
    columns = np.arange(width)
    for rho, theta in found.reshape(-1, 2)[:MOST_LINES]:
        rows = np.round((2 * rho - columns * np.cos(theta)) / np.sin(theta)).astype(int)
        inside = (rows >= 0) & (rows < height)
        if inside.mean() >= CROSSING:
            _erase(padded, sought, rows[inside] + 2 * REACH, columns[inside])
    return padded[2 * REACH : -2 * REACH]


def _erase(padded: Mask, sought: Mask, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
    around = rows + np.arange(-REACH, REACH + 1)[:, None]  # (2 REACH + 1, columns)
    band = sought[around, columns]
    hit = band[REACH - 2 : REACH + 3].any(axis=0)
    end = max(1, len(hit) // 20)
    if hit.mean() < 0.8 or hit[:end].mean() < 0.5 or hit[-end:].mean() < 0.5:
        return
    half = int(np.median(band.sum(axis=0)[hit]) / 2) + 1
    if half >= REACH - 1:
        return
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
        """What lies along the picture's edge, and lines, if there is anything else."""
        height, width = self.mask.shape
        at_edge = (self.left == 0) | (self.top == 0) | (self.right == width) | (self.bottom == height)
        inner = self.area * ~at_edge
        if inner.max() > 0.1 * self.area.max() or inner.max() > 0.004 * self.mask.size:
            self.area = inner
        spans = (self.width > 0.75 * width) | (self.height > 0.75 * height)
        line = spans & (self.area < 0.015 * max(self.mask.shape) * (self.width + self.height))
        if (~line & (self.area > 0) & (self.height > 0.1 * height)).any():
            self.area = self.area * ~line

    def main(self) -> int:
        """The largest piece, or the largest within it if it is a frame."""
        main = int(self.area.argmax())
        while True:
            within = (self.area > 0) & (self.left > self.left[main]) & (self.right < self.right[main])
            within &= (self.top > self.top[main]) & (self.bottom < self.bottom[main])
            within &= self.height > 0.3 * self.height[main]
            if not within.any():
                return main
            main = int((self.area * within).argmax())

    def belonging_to(self, main: int) -> Flags:
        """Which pieces are the `main` one, or near it and neither specks nor digits beside it nor around it."""
        margin = GAP * max(self.width[main], self.height[main])
        near = (self.left < self.right[main] + margin) & (self.right > self.left[main] - margin)
        near &= (self.top < self.bottom[main] + margin) & (self.bottom > self.top[main] - margin)
        near &= (self.area > 0.03 * self.area[main]) & (self.height <= 2.5 * self.height[main])
        gap = np.maximum(self.left - self.right[main], self.left[main] - self.right)
        beside = (gap > APART * self.height[main]) & (self.height > 0.6 * self.height[main])
        near &= ~(beside | self.around(main))
        near[main] = True
        return np.asarray(near, np.bool_)

    def are_a_pattern(self, main: int) -> bool:
        """Whether most pieces are as large as the `main` one, and many."""
        alike = np.abs(self.width - self.width[main]) <= 1 + 0.1 * self.width[main]
        alike &= np.abs(self.height - self.height[main]) <= 1 + 0.1 * self.height[main]
        alike &= np.abs(self.area - self.area[main]) <= 0.2 * self.area[main]
        return bool(alike.sum() >= max(PATTERN, 0.5 * (self.area > 0.1 * self.area[main]).sum()))

    def around(self, main: int) -> Flags:
        """Which pieces' boxes hold the `main` one's."""
        wide = (self.left <= self.left[main]) & (self.right >= self.right[main])
        return np.asarray(wide & (self.top <= self.top[main]) & (self.bottom >= self.bottom[main]), np.bool_)


def main_piece(mask: Mask) -> tuple[Mask, bool]:
    """The digit among the pieces of ink, and whether another piece could be a digit too.

    `mask` and the digit are (height, width) of 0 and 1. The digit is the largest piece and what belongs to it: no frame
    around another piece, nothing along the picture's edge, no speck, if there is anything else.
    A pattern is taken whole.
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
