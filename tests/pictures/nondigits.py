"""Pictures that are no digit, of kinds that training/outliers.py does not make, as the service would show them.

Other fonts, other programs, other processing (`models.pictures`) than in the fitting of the novelty.
`python -m tests.reports.kinds` prints a table for the committed bundle.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tests.pictures.natural import Picture, Random, either, natural_noise, photograph, portrait, uploaded

LETTERS = "ACEFHKMNPRTUVWXYacdefhkmnprtuvwxy"
"""Without those that somebody's digits look like: B D G I J L O Q S Z b g i j l o q s z."""
SIGNS = "★♥♦♣♠☂☎✈✂☺☹♫⚑→↑⇒⌂✓✗✚☀☁"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
SERIF = ("STIXGeneral", "STIXGeneralItalic", "STIXGeneralBol", "STIXGeneralBolIta")
HERSHEY = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
CLOTHES = {
    "shirt": "60,30 85,25 100,38 115,25 140,30 185,70 165,95 140,75 140,175 60,175 60,75 35,95 15,70",
    "trousers": "60,15 140,15 155,185 120,185 100,70 80,185 45,185",
    "dress": "80,15 90,30 110,30 120,15 130,60 120,90 160,185 40,185 80,90 70,60",
    "shoe": "20,90 60,70 90,95 150,115 185,140 182,160 20,160",
    "bag": "35,80 60,80 75,35 125,35 140,80 165,80 175,175 25,175",
    "coat": "65,20 135,20 165,60 175,165 150,168 138,85 140,185 60,185 62,85 50,168 25,165 35,60",
}


def _paper() -> Image.Image:
    return Image.new("L", (200, 200), 255)


def _turned(image: Image.Image, random: Random, degrees: float = 10) -> Picture:
    return uploaded(np.asarray(image.rotate(random.uniform(-degrees, degrees), fillcolor=255)))


def _written(text: str, font: str, size: int, random: Random) -> Picture:
    image = _paper()
    truetype = ImageFont.truetype(str(FONTS / f"{font}.ttf"), size)
    ImageDraw.Draw(image).text((100, 100), text, 0, truetype, anchor="mm")
    return _turned(image, random)


def serif_letter(random: Random) -> Picture:
    return _written(str(random.choice(list(LETTERS))), str(random.choice(SERIF)), int(random.integers(40, 91)), random)


def sign(random: Random) -> Picture:
    return _written(str(random.choice(list(SIGNS))), "DejaVuSans", 80, random)


def plotter_letter(random: Random) -> Picture:
    """Hershey's stroke fonts, two of them script."""
    picture = np.full((200, 200), 255, np.uint8)
    font, thickness = HERSHEY[random.integers(len(HERSHEY))], int(random.integers(4, 16))
    cv2.putText(picture, str(random.choice(list(LETTERS))), (60, 130), font, 3.0, (0,), thickness, cv2.LINE_AA)
    return _turned(Image.fromarray(picture), random)


def clothes(random: Random) -> Picture:
    """Silhouettes with uneven outlines, some with a seam or stripes; half of them fill the field as Fashion-MNIST's."""
    outline = CLOTHES[str(random.choice(list(CLOTHES)))]
    points = np.array([pair.split(",") for pair in outline.split()], float) + random.uniform(
        -6, 6, (1 + outline.count(" "), 2)
    )
    mask, image, grey = Image.new("L", (200, 200)), Image.new("L", (200, 200)), int(random.integers(120, 256))
    ImageDraw.Draw(mask).polygon(points.ravel().tolist(), fill=255)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 200, 200), fill=grey)
    if random.random() < 0.5:
        draw.line((100, 40, 100, 170), fill=grey // 2, width=int(random.integers(2, 9)))
    if random.random() < 0.3:
        for y in range(20, 190, int(random.integers(14, 31))):
            draw.line((0, y, 200, y), fill=grey // 2, width=4)
    worn = Image.composite(image, Image.new("L", (200, 200)), mask).rotate(random.uniform(-8, 8))
    return either(np.asarray(worn), random)


def wandering_line(random: Random) -> Picture:
    """One stroke that turns at random; some look like a 2, a 3 or a 7 to a person too."""
    count = int(random.integers(40, 161))
    angles = np.cumsum(random.normal(0, random.uniform(0.3, 0.9), count))
    points = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=1) * random.uniform(4, 9), axis=0)
    points -= points.mean(axis=0)
    points = points * min(1, 85 / np.abs(points).max()) + 100
    image = _paper()
    ImageDraw.Draw(image).line(points.ravel().tolist(), fill=0, width=int(random.integers(3, 10)), joint="curve")
    return _turned(image, random)


def zigzag(random: Random) -> Picture:
    count = int(random.integers(6, 16))
    y = np.where(np.arange(count) % 2, 40, 160) + random.uniform(-20, 20, count)
    points = np.stack([np.linspace(27, 173, count), y], axis=1)
    image = _paper()
    ImageDraw.Draw(image).line(points.ravel().tolist(), fill=0, width=int(random.integers(3, 10)), joint="curve")
    return _turned(image, random, 180)


def loops(random: Random) -> Picture:
    """As when a pen is tried: a row of loops."""
    turns, radius = int(random.integers(3, 8)), random.uniform(20, 45)
    t = np.linspace(0, 2 * np.pi * turns, 60 * turns)
    x = t * random.uniform(4, 9) * np.sign(random.uniform(-1, 1)) + radius * np.cos(t)
    points = np.stack([x - x.mean() + 100, 100 + radius * random.uniform(0.8, 2) * np.sin(t)], axis=1)
    image = _paper()
    ImageDraw.Draw(image).line(points.ravel().tolist(), fill=0, width=int(random.integers(3, 9)), joint="curve")
    return _turned(image, random, 30)


def hatching(random: Random) -> Picture:
    """Strokes side by side, as when something is crossed out; half of them a second time across."""
    image, width = _paper(), int(random.integers(3, 9))
    draw, step = ImageDraw.Draw(image), width * random.uniform(2, 4)
    for x in np.arange(40, 160, step):
        draw.line((x, random.uniform(40, 60), x + random.uniform(-8, 8), random.uniform(140, 160)), 0, width)
    if random.random() < 0.5:
        for y in np.arange(50, 150, step):
            draw.line((random.uniform(30, 50), y, random.uniform(150, 170), y + random.uniform(-8, 8)), 0, width)
    return _turned(image, random, 45)


def uniform_noise(random: Random) -> Picture:
    return uploaded(random.integers(0, 256, (28, 28), np.uint8))


def salt(random: Random) -> Picture:
    return uploaded((random.random((28, 28)) < random.uniform(0.02, 0.5)) * 255)


def grain(random: Random) -> Picture:
    return uploaded(random.normal(128, random.uniform(10, 60), (120, 120)))


def clouds(random: Random) -> Picture:
    return uploaded(cv2.GaussianBlur(random.normal(128, 400, (120, 120)), (0, 0), random.uniform(2, 12)))


def black(_random: Random) -> Picture:
    return uploaded(np.zeros((28, 28), np.uint8))


def empty_paper(random: Random) -> Picture:
    """Paper in uneven light, with grain."""
    light = [np.linspace(0, random.uniform(-40, 40), 150) for _ in range(2)]
    return uploaded(
        random.uniform(150, 255) + np.add.outer(*light) + random.normal(0, random.uniform(0, 3), (150, 150))
    )


def specks(random: Random) -> Picture:
    picture = np.zeros((28, 28), np.uint8)
    for _ in range(random.integers(1, 5)):
        y, x = random.integers(2, 26, 2)
        picture[y : y + random.integers(1, 3), x : x + random.integers(1, 3)] = random.integers(80, 256)
    return uploaded(picture)


def texture(random: Random) -> Picture:
    """Bricks, dots, crossed lines or a chessboard."""
    picture, pitch, kind = np.full((140, 140), 255, np.uint8), int(random.integers(8, 37)), random.integers(4)
    steps = range(0, 281, pitch)
    for y in steps:
        if kind == 0:
            cv2.line(picture, (0, y), (140, y), (0,), 2)
            for x in range(y // pitch % 2 * pitch, 141, 2 * pitch):
                cv2.line(picture, (x, y), (x, y + pitch), (0,), 2)
        elif kind == 1:
            for x in steps:
                cv2.circle(picture, (x + pitch // 2, y + pitch // 2), max(2, pitch // 4), (0,), -1)
        elif kind == 2:
            cv2.line(picture, (y - 140, 0), (y, 140), (0,), 2)
            cv2.line(picture, (y, 0), (y - 140, 140), (0,), 2)
    if kind == 3:
        squares = np.arange(140) // pitch
        picture = (np.add.outer(squares, squares) % 2 * 255).astype(np.uint8)
    return either(picture, random)


KINDS: dict[str, Callable[[Random], Picture]] = {
    "letters, STIX": serif_letter,
    "letters, Hershey": plotter_letter,
    "clothes": clothes,
    "scribbles, zigzag": zigzag,
    "scribbles, one wandering line": wandering_line,
    "scribbles, loops": loops,
    "scribbles, hatching": hatching,
    "noise, uniform": uniform_noise,
    "noise, salt": salt,
    "noise, grain": grain,
    "noise, clouds": clouds,
    "blank, black": black,
    "blank, paper": empty_paper,
    "blank, specks": specks,
    "textures": texture,
    "natural, 1/f noise": natural_noise,
    "natural, photographs": photograph,
    "natural, portrait": portrait,
    "signs": sign,
}


def pictures(kind: str, n: int, seed: int = 0) -> NDArray[np.uint8]:
    """(n, 1, 28, 28) uint8 of one kind."""
    random = np.random.default_rng([seed, *kind.encode()])
    return np.stack([KINDS[kind](random) for _ in range(n)])[:, None]
