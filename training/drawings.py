"""Drawings for the novelty head: characters of printed fonts, shapes and scribbles, put in MNIST's form.

Knows nothing about networks. Every function draws from the generator it is given and from nothing else.
"""

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.interpolate import make_interp_spline
from scipy.signal import lfilter

from models.pictures.strokes import BOX, blank, placed

Images = NDArray[np.uint8]
"""(n, 28, 28) uint8, ink 255 on background 0."""

CANVAS = 112
"""Side of what is drawn, pixels: four times the image, so that edges come out smooth."""
FRACTION = 4
"""Bits of a pixel that OpenCV is told of a point."""
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
LATIN = ("cmr10", "cmb10", "cmmi10", "cmti10", "cmtt10", "cmss10")
"""Fonts that hold ASCII letters only; both lists come with matplotlib."""
SANS = ("Sans", "Sans-Bold", "Sans-BoldOblique", "Sans-Oblique", "SansMono", "SansMono-BoldOblique")
SERIF = ("Serif", "Serif-Bold", "Serif-BoldItalic", "Serif-Italic")
DEJAVU = tuple(f"DejaVu{style}" for style in (*SANS, *SERIF))
DIGITS = "0123456789"
LETTERS = "ACDEFGHJKLMNPQRTUVWXYacdefhjkmnprtuvwxy"
"""Without those that somebody's digits look like: B I O S Z b g i l o q s z."""
SIGNS = '&@#$%?!+=*<>{}~^"ΓΔΘΛΞΠΣΦΨΩαβγδεζηλμξπφχψωДЖИКЛФЦШЫЭЮЯвджюя'
"""Characters whose strokes teach what letters do not."""


def characters(text: str) -> Images:
    """Every character of `text` in every font that has it: (fonts · characters, 28, 28) uint8."""
    drawn = []
    for name in (*DEJAVU, *LATIN):
        font = ImageFont.truetype(str(FONTS / f"{name}.ttf"), CANVAS // 2)
        drawn += [_character(one, font) for one in text if one.isascii() or name in DEJAVU]
    return np.stack(drawn)


def _character(one: str, font: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    return _drawing(lambda pen: pen.text((CANVAS // 2, CANVAS // 2), one, 255, font, anchor="mm"))


def draw_many(
    draw: Callable[[ImageDraw.ImageDraw, np.random.Generator], None], n: int, random: np.random.Generator
) -> Images:
    """`n` pictures that `draw` (`shape` or `scribble`) makes."""
    return np.stack([_drawing(lambda pen: draw(pen, random)) for _ in range(n)])


def _drawing(draw: Callable[[ImageDraw.ImageDraw], None]) -> NDArray[np.uint8]:
    image = Image.new("L", (CANVAS, CANVAS))
    draw(ImageDraw.Draw(image))
    return formed(image)


def formed(image: Image.Image) -> NDArray[np.uint8]:
    """Light ink on black, reduced to MNIST's box by Pillow's box filter and put in its place: (28, 28) uint8."""
    box = image.getbbox()
    if box is None:
        return blank()
    width, height = box[2] - box[0], box[3] - box[1]
    scale = BOX / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    digit = np.asarray(image.crop(box).resize(size, Image.Resampling.BOX), np.float32)
    return placed(digit, digit * (255 / max(float(digit.max()), 1.0)))


def shape(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    """Draws a filled silhouette: up to five polygons, ellipses and rectangles of several greys over each other."""
    for _ in range(random.integers(1, 6)):
        x, y = random.uniform(0.3 * CANVAS, 0.7 * CANVAS, 2)
        width, height = random.uniform(0.08 * CANVAS, 0.4 * CANVAS, 2)
        grey, kind = int(random.integers(90, 256)), random.random()
        if kind < 0.6:
            corners = int(random.integers(3, 9))
            angles = np.sort(random.uniform(0, 2 * math.pi, corners))
            radii = random.uniform(0.4, 1, corners)
            points = np.stack([x + width * radii * np.cos(angles), y + height * radii * np.sin(angles)], axis=1)
            draw.polygon(points.ravel().tolist(), fill=grey)
        elif kind < 0.8:
            draw.ellipse((x - width, y - height, x + width, y + height), fill=grey)
        else:
            draw.rectangle((x - width, y - height, x + width, y + height), fill=grey)


def scribble(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    """Draws up to three strokes through random points, most of them smooth."""
    thickness = int(random.integers(4, 13))
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        count = int(random.integers(5, 13))
        points = random.uniform(0.12 * CANVAS, 0.88 * CANVAS, (count, 2))
        if random.random() < 0.7:
            points = make_interp_spline(np.arange(count), points, k=3)(np.linspace(0, count - 1, 8 * count))
        draw.line(points.ravel().tolist(), fill=255, width=thickness, joint="curve")


def lines(n: int, random: np.random.Generator) -> Images:
    """One line each, 1.7 to 2.6 pixels wide, whose curvature wanders: a first-order autoregressive process.

    It turns by one and a half circles at least, since a straighter one is a 1 to many people. OpenCV draws it, since
    Pillow joins the parts of a line in Python, ten times slower.
    """
    return np.stack([_line(random) for _ in range(n)])


def _line(random: np.random.Generator) -> NDArray[np.uint8]:
    count, inertia = int(random.integers(20, 201)), random.uniform(0.5, 0.98)
    curvature = lfilter([1], [1, -inertia], random.normal(0, random.uniform(0.05, 0.5), count))
    curvature *= max(1, 3 * math.pi / np.abs(curvature).sum())
    heading = random.uniform(0, 2 * math.pi) + np.cumsum(curvature)
    points = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    points -= points.min(axis=0)
    points *= 0.8 * CANVAS / points.max()  # so that the width below is that of the finished image
    width = random.uniform(1.7, 2.6) * 0.8 * CANVAS / BOX
    drawn = np.zeros((CANVAS, CANVAS), np.uint8)
    path = np.round((points + 0.1 * CANVAS) * 2**FRACTION).astype(np.int32)
    cv2.polylines(drawn, [path], isClosed=False, color=255, thickness=round(width), shift=FRACTION)
    return formed(Image.fromarray(drawn))
