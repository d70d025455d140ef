"""Pictures that are no digit, and the digits beside them: what the novelty head learns from.

All are made here; no collection of other pictures is read. The kinds are few and crude on purpose: what counts is how
well kinds are told that are not among them (tests/pictures/nondigits.py).
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label
from torch import Tensor

from models.pictures.strokes import SIZE
from training import drawings
from training.drawings import Images, draw_many, formed
from training.views.digits import ViewSettings, random_views

WILD = ViewSettings(rotation_degrees=15, scale=0.25, shear=0.35, translate_pixels=2.5, elastic_pixels=1.0)
"""What is no digit may stray further from its drawing than a digit may."""
HALF = SIZE // 2


class Kind(NamedTuple):
    """Pictures of one kind."""

    images: Tensor
    """(n, 1, 28, 28) uint8"""
    weight: float
    """How often one of this kind is drawn, relative to the other kinds of its side."""


def digit_kinds(images: Tensor, views: ViewSettings, generator: torch.Generator) -> dict[str, Kind]:
    """What must be accepted, from (n, 1, 28, 28) uint8 digits: themselves, views, coarse ones, printed digits.

    Printed digits are there so that the head learns what letters are, not what print is.
    """
    few = images[: max(1, len(images) // 2)]
    printed = _tensor(drawings.characters(drawings.DIGITS)).repeat(20, 1, 1, 1)
    return {
        "digits": Kind(images, 3.0),
        "views": Kind(random_views(few, views, generator), 2.0),
        "coarse": Kind(random_views(few[: len(few) // 4 + 1], replace(views, coarse=1.0), generator), 0.8),
        "printed": Kind(random_views(printed, views, generator), 0.2),
    }


def outlier_kinds(
    images: Tensor, drawn: int, random: np.random.Generator, generator: torch.Generator
) -> dict[str, Kind]:
    """What must not be accepted: at least `drawn` of each kind, and views of those that are drawn by lines.

    `images` are (n, 1, 28, 28) uint8 digits to be cut up.
    """

    def views(pictures: Images, times: int, settings: ViewSettings = WILD) -> Tensor:
        return random_views(_tensor(pictures).repeat(times, 1, 1, 1), settings, generator)

    letters, signs = drawings.characters(drawings.LETTERS), drawings.characters(drawings.SIGNS)
    return {
        "letters": Kind(views(letters, 1 + 8 * drawn // len(letters)), 3.0),
        "signs": Kind(views(signs, 1 + 4 * drawn // len(signs)), 1.5),
        "shapes": Kind(views(draw_many(drawings.shape, drawn, random), 2), 1.5),
        "scribbles": Kind(views(draw_many(drawings.scribble, 2 * drawn // 3, random), 4), 1.5),
        "lines": Kind(views(drawings.lines(4 * drawn, random), 1, ViewSettings()), 1.5),
        "noise": Kind(_tensor(noise(drawn, random)), 0.7),
        "blobs": Kind(_tensor(blobs(2 * drawn, random)), 1.0),
        "stripes": Kind(_tensor(stripes(drawn, random)), 0.4),
        "blank": Kind(_tensor(blanks(drawn, random)), 0.8),
        "jigsaws": Kind(_tensor(jigsaws(images[:, 0].numpy(), 2 * drawn, random)), 0.8),
    }


def noise(n: int, random: np.random.Generator) -> Images:
    """Random greys on a grid of 2×2 to 28×28, smooth or not, of any contrast; some black and white, some round."""
    drawn = np.empty((n, SIZE, SIZE), np.float32)
    for number in range(n):
        grid = int(random.integers(2, SIZE + 1))
        greys = Image.fromarray(random.normal(size=(grid, grid)).astype(np.float32))
        filter_ = Image.Resampling.BICUBIC if random.random() < 0.7 else Image.Resampling.NEAREST
        drawn[number] = np.asarray(greys.resize((SIZE, SIZE), filter_))
    greyed = drawn * random.uniform(20, 150, (n, 1, 1)) + random.uniform(0, 255, (n, 1, 1))
    greyed = np.where(random.random((n, 1, 1)) < 0.3, np.where(greyed > 128, 255, 0), greyed)
    y, x = _coordinates()
    outside = np.hypot(x, y) > random.uniform(HALF / 2, HALF, (n, 1, 1))
    return _bytes(np.where((random.random((n, 1, 1)) < 0.3) & outside, 0, greyed))


def blobs(n: int, random: np.random.Generator) -> Images:
    """Where smooth noise is above a level, all of it or one or two of its pieces, in MNIST's form."""
    drawn = np.empty((n, SIZE, SIZE), np.uint8)
    for number in range(n):
        grid = int(random.integers(3, 15))
        greys = Image.fromarray(random.normal(size=(grid, grid)).astype(np.float32))
        field = np.asarray(greys.resize((drawings.CANVAS, drawings.CANVAS), Image.Resampling.BICUBIC))
        ink = field > np.quantile(field, random.uniform(0.4, 0.95))
        if random.random() < 0.7:
            pieces, _ = label(ink)
            by_size = np.argsort(-np.bincount(pieces.ravel())[1:]) + 1
            ink = np.isin(pieces, by_size[: random.integers(1, 3)])
        drawn[number] = formed(Image.fromarray(np.where(ink, 255, 0).astype(np.uint8)))
    return drawn


def stripes(n: int, random: np.random.Generator) -> Images:
    """Gratings and plaids of any direction and pitch, smooth or black and white."""
    y, x = _coordinates()
    angle, pitch = random.uniform(0, math.pi, (n, 1, 1)), random.uniform(2, 20, (n, 1, 1))
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = np.sin(2 * math.pi * along / pitch + random.uniform(0, 2 * math.pi, (n, 1, 1)))
    wave = np.where(random.random((n, 1, 1)) < 0.4, wave * np.sin(2 * math.pi * across / pitch), wave)
    wave = np.where(random.random((n, 1, 1)) < 0.4, np.sign(wave), wave)
    return _bytes(127.5 + 127.5 * wave * random.uniform(0.3, 1, (n, 1, 1)))


def blanks(n: int, random: np.random.Generator) -> Images:
    """Empty fields, whole or a piece of them: black or grey, even or shaded, some with grain or a few specks."""

    def some(share: float) -> NDArray[np.bool_]:
        return random.random((n, 1, 1)) < share

    y, x = _coordinates()
    field = random.uniform(0, 255, (n, 1, 1)) * some(0.6)
    field = field + (random.uniform(-15, 15, (n, 1, 1)) * x + random.uniform(-15, 15, (n, 1, 1)) * y) * some(0.6)
    field = field + random.normal(0, 1, (n, SIZE, SIZE)) * random.uniform(0, 6, (n, 1, 1)) * some(0.5)
    top, left = random.uniform(-HALF, 0, (2, n, 1, 1))
    height, width = random.uniform(4, SIZE, (2, n, 1, 1))
    inside = (y >= top) & (y <= top + height) & (x >= left) & (x <= left + width)
    field = np.where(inside | ~some(0.5), field, 0)
    specks = (random.random((n, SIZE, SIZE)) < 0.004) & some(0.3)
    return _bytes(np.where(specks, 255, field))


def jigsaws(digits: Images, n: int, random: np.random.Generator) -> Images:
    """Quarters of several digits, each where it does not belong."""
    drawn = np.empty((n, SIZE, SIZE), np.uint8)
    for top in (0, HALF):
        for left in (0, HALF):
            chosen = digits[random.integers(len(digits), size=n)]
            swap_rows, swap_columns = random.permutation([True, bool(random.random() < 0.5)])
            from_top, from_left = HALF - top if swap_rows else top, HALF - left if swap_columns else left
            quarter = chosen[:, from_top : from_top + HALF, from_left : from_left + HALF]
            drawn[:, top : top + HALF, left : left + HALF] = quarter
    return drawn


def _coordinates() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each pixel's y and x from the centre of the image, both (28, 28)."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return y, x


def _bytes(drawn: NDArray[np.floating]) -> Images:
    return np.asarray(np.clip(drawn, 0, 255), np.uint8)


def _tensor(images: Images) -> Tensor:
    return torch.from_numpy(images).unsqueeze(1)
