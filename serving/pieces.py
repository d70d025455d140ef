"""Which of the pieces of ink in a picture are the digit: no ruled lines, no frames, no specks. Knows nothing of shades.

A mask is (height, width) uint8, 1 where there is ink.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from serving.strokes import Mask

REACH = 8
"""Half of the widest ruled line, in pixels."""
CROSSING = 0.7
"""Share of the picture that a ruled line runs across."""
GAP = 0.2
"""Share of the digit's longer side up to which a piece of ink beside it belongs to it."""
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


def main_piece(mask: Mask) -> Mask | None:
    """The digit among the pieces of ink, (height, width) of 0 and 1: the largest one and what belongs to it.

    Frames around another piece, what lies along the picture's edge, and specks are no digits if there is anything else.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    if count < 2:
        return None
    boxes = stats[1:].astype(np.int64)  # left, top, width, height, area
    area = boxes[:, 4].astype(float)
    left, top, right, bottom = boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    height, width = mask.shape
    sides = (left == 0).astype(int) + (top == 0) + (right == width) + (bottom == height)
    inner = area * (sides == 0)
    if inner.max() > 0.1 * area.max() or inner.max() > 0.004 * mask.size:
        area = inner
    spans = (boxes[:, 2] > 0.75 * width) | (boxes[:, 3] > 0.75 * height)
    line = spans & (area < 0.015 * max(mask.shape) * (boxes[:, 2] + boxes[:, 3]))
    if (~line & (area > 0) & (boxes[:, 3] > 0.1 * height)).any():
        area = area * ~line
    main = int(area.argmax())
    while True:
        within = (left > left[main]) & (right < right[main]) & (top > top[main]) & (bottom < bottom[main])
        within &= boxes[:, 3] > 0.3 * boxes[main, 3]
        if not within.any():
            break
        main = int((area * within).argmax())
    margin = GAP * max(boxes[main, 2], boxes[main, 3])
    belongs = (left < right[main] + margin) & (right > left[main] - margin)
    belongs &= (top < bottom[main] + margin) & (bottom > top[main] - margin)
    belongs &= (area > 0.03 * area[main]) & (boxes[:, 3] <= 2.5 * boxes[main, 3])
    frames = (left <= left[main]) & (right >= right[main]) & (top <= top[main]) & (bottom >= bottom[main])
    belongs &= ~frames
    belongs[main] = True
    cut = np.s_[top[belongs].min() : bottom[belongs].max(), left[belongs].min() : right[belongs].max()]
    chosen = np.zeros_like(mask)
    chosen[cut] = np.concatenate([[False], belongs])[labels[cut]]
    return chosen
