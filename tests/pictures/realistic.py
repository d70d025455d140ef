"""Uploads as people make them of real digits: each kind is a function (28×28 uint8 digit, Generator) → bytes."""

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Kind = Callable[[NDArray[np.uint8], np.random.Generator], bytes]
Point = tuple[int, int]
DETAIL = 12
"""Pixels of a drawn digit for each of MNIST's."""


def strokes(digit: NDArray[np.uint8], random: np.random.Generator, weight: float = 0, degrees: float = 3) -> Floats:
    """The digit as drawn at high resolution: (336, 336) float32 in [0, 1], ink 1.

    `weight` thickens (> 0) or thins (< 0) the strokes, in MNIST's pixels; thinning ends before a stroke breaks.
    """
    side = 28 * DETAIL
    drawn = cv2.GaussianBlur(cv2.resize(digit, (side, side), interpolation=cv2.INTER_CUBIC), (0, 0), DETAIL / 3)
    mask: Any = (drawn > 110).astype(np.uint8)
    if weight > 0:
        mask = cv2.dilate(mask, _disk(round(weight * DETAIL / 2)))
    for _ in range(round(-weight * DETAIL / 2)):
        thinner = cv2.erode(mask, _disk(1))
        if _pieces(thinner) != _pieces(mask):
            break
        mask = thinner
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(random.uniform(-degrees, degrees)), 1)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5)
    return _floats(cv2.warpAffine(soft, turn, (side, side)))


def placed(
    drawn: Floats,
    random: np.random.Generator,
    size: Point,
    share: tuple[float, float] = (0.4, 0.9),
    corner: bool = False,
) -> Floats:
    """The drawn digit somewhere on a (height, width) sheet; its field takes `share` of the shorter side."""
    height, width = size
    side = round(min(size) * random.uniform(*share))
    small = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
    room = (height - side, width - side)
    if corner:
        top, left = (int(random.choice([random.uniform(0, 0.08), random.uniform(0.92, 1)]) * one) for one in room)
    else:
        top, left = (int(random.uniform(0.1, 0.9) * one) for one in room)
    sheet = np.zeros(size, np.float32)
    sheet[top : top + side, left : left + side] = small
    return sheet


def painted(paper: Any, ink: Any, alpha: Floats) -> Floats:
    """(height, width, 3) float32 in [0, 255]: `ink` over `paper`, both RGB or pictures."""
    cover = alpha[..., None]
    return _floats(np.asarray(paper, np.float32) * (1 - cover) + np.asarray(ink, np.float32) * cover)


def gradient(random: np.random.Generator, size: Point, darkest: float = 0.5) -> Floats:
    """Uneven light, (height, width, 1) in [darkest, 1]."""
    rows, columns = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    angle = random.uniform(0, 2 * np.pi)
    slope = (rows * np.sin(angle) + columns * np.cos(angle) + 1.42) / 2.84
    return _floats(darkest + (1 - darkest) * slope)[..., None]


def photographed(scene: Floats, random: np.random.Generator, noise: float = 6, **options: Any) -> bytes:
    """A phone's JPEG of the scene: blurred a little, noisy, compressed."""
    blurred = cv2.GaussianBlur(scene, (0, 0), float(random.uniform(0.6, 2)))
    noisy = blurred + random.standard_normal((*scene.shape[:2], 1), np.float32) * np.float32(
        random.uniform(noise / 3, noise)
    )
    return saved(noisy, "JPEG", quality=int(random.integers(45, 92)), **options)


def saved(picture: NDArray[Any], kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.clip(picture, 0, 255).round().astype(np.uint8)).save(file, kind, **options)
    return file.getvalue()


def paper_photo(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (720, 540)
    sheet = placed(strokes(digit, random), random, size)
    return photographed(painted(_white(random), _dark(random), sheet) * gradient(random, size), random)


def pencil(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (480, 640)
    grain = 1 - 0.35 * random.random(size, np.float32)
    sheet = placed(strokes(digit, random, -1.6), random, size) * grain
    return photographed(painted(_white(random), [110, 110, 115], sheet) * gradient(random, size, 0.7), random)


def marker(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (600, 600)
    sheet = placed(strokes(digit, random, random.uniform(0.8, 1.8)), random, size, (0.6, 0.95))
    return photographed(painted(_white(random), _dark(random), sheet) * gradient(random, size, 0.7), random)


def coloured_ink(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (600, 600)
    inks = [(200, 30, 40), (20, 60, 190), (10, 130, 60), (240, 120, 10), (150, 40, 160), (230, 190, 0), (20, 170, 210)]
    sheet = placed(strokes(digit, random), random, size)
    return photographed(painted(_white(random), inks[random.integers(len(inks))], sheet), random)


def ruled_paper(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    return _lined(digit, random, columns=False)


def squared_paper(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    return _lined(digit, random, columns=True)


def _lined(digit: NDArray[np.uint8], random: np.random.Generator, columns: bool) -> bytes:
    size = (600, 600)
    lines = np.zeros((800, 800), np.float32)
    step, width = int(random.integers(30, 85)), int(random.integers(2, 5))
    for start in range(int(random.integers(step)), 800, step):
        lines[start : start + width] = 1
        if columns:
            lines[:, start : start + width] = 1
    turn = cv2.getRotationMatrix2D((400, 400), float(random.uniform(-6, 6)), 1)
    lines = _floats(cv2.warpAffine(lines, turn, (800, 800)))[100:700, 100:700]
    colour = [(150, 180, 220), (120, 120, 130), (220, 150, 150), (90, 120, 190)][random.integers(4)]
    page = painted(_white(random), colour, lines)
    ink = placed(strokes(digit, random, -0.5), random, size)
    return photographed(painted(page, _dark(random), ink) * gradient(random, size, 0.75), random)


def shadow_edge(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (600, 600)
    rows, columns = np.mgrid[-1:1:600j, -1:1:600j]
    angle, shift = random.uniform(0, 2 * np.pi), random.uniform(-0.4, 0.4)
    inside = (rows * np.sin(angle) + columns * np.cos(angle) > shift).astype(np.float32)
    soft = cv2.GaussianBlur(inside, (0, 0), float(random.uniform(2, 25)))
    light = 1 - (1 - random.uniform(0.45, 0.7)) * _floats(soft)[..., None]
    sheet = placed(strokes(digit, random), random, size)
    return photographed(painted(_white(random), _dark(random), sheet) * light, random)


def corner(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (800, 800)
    sheet = placed(strokes(digit, random), random, size, (0.1, 0.22), corner=True)
    return photographed(painted(_white(random), _dark(random), sheet) * gradient(random, size, 0.7), random)


def chalk(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (540, 720)
    board = np.array([(40, 75, 60), (45, 45, 50), (30, 50, 45)][random.integers(3)], np.float32)
    smear = cv2.GaussianBlur(random.standard_normal(size, np.float32), (0, 0), 30)
    ground = board + _floats(smear)[..., None] * (8 / float(smear.std()))
    sheet = placed(strokes(digit, random, random.uniform(-0.8, 0.5)), random, size)
    sheet = sheet * (random.random(size, np.float32) > 0.25) * np.float32(random.uniform(0.7, 1))
    return photographed(painted(ground, (235, 235, 225), sheet) * gradient(random, size, 0.6), random)


def screenshot(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (420, 560)
    paper, ink = (255, 0) if random.random() < 0.6 else (30, 230)
    picture = painted([paper] * 3, [ink] * 3, placed(strokes(digit, random), random, size, (0.5, 0.8)))
    line, edge = int(random.integers(1, 7)), int(random.integers(0, 4)) * 6
    frame = np.asarray([(128, 128, 128), (ink, ink, ink), (60, 110, 200)][random.integers(3)], np.uint8)
    whole = np.full((size[0] + 80, size[1] + 60, 3), paper, np.float32)
    whole[edge : whole.shape[0] - edge, edge : whole.shape[1] - edge] = frame
    inner = edge + line
    whole[inner : whole.shape[0] - inner, inner : whole.shape[1] - inner] = paper
    whole[40:-40, 30:-30] = picture
    return saved(whole, "PNG")


def transparent_png(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    alpha = placed(strokes(digit, random), random, (300, 300), (0.5, 1))
    ink = [(0, 0, 0), (255, 255, 255), (30, 60, 200), (250, 240, 90), (200, 20, 20)][random.integers(5)]
    colour = np.broadcast_to(np.array(ink, np.float32), (300, 300, 3))
    return saved(np.concatenate([colour, alpha[..., None] * 255], axis=-1), "PNG")


def mouse(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    drawn = placed(strokes(digit, random, random.uniform(-1.2, 1.2)), random, (280, 280), (0.6, 1)) > 0.5
    return saved(np.where(drawn, 0, 255) if random.random() < 0.5 else np.where(drawn, 255, 0), "PNG")


def rotated(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (600, 500)
    sheet = placed(strokes(digit, random, degrees=10), random, size, (0.5, 0.9))
    return photographed(painted(_white(random), _dark(random), sheet) * gradient(random, size), random)


def exif_turned(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (1200, 900)
    scene = painted(_white(random), _dark(random), placed(strokes(digit, random), random, size))
    exif, quarters = Image.Exif(), int(random.integers(4))
    exif[0x0112] = (1, 6, 3, 8)[quarters]  # how many quarter turns clockwise set it upright: none, 1, 2, 3
    return photographed(np.ascontiguousarray(np.rot90(scene, quarters)), random, exif=exif)


def scan(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (900, 700)
    picture = painted([245] * 3, [40] * 3, placed(strokes(digit, random, -0.4), random, size, (0.25, 0.8)))[
        ..., 0
    ].copy()
    for _ in range(int(random.integers(20, 80))):
        at = (int(random.integers(size[1])), int(random.integers(size[0])))
        cv2.circle(picture, at, int(random.integers(1, 6)), float(random.uniform(0, 150)), -1)
    if random.random() < 0.5:  # the lid's dark edge
        picture[:, -int(random.integers(5, 30)) :] = random.uniform(20, 90)
    return saved(picture + random.standard_normal(size) * 4, "JPEG", quality=80)


def low_contrast(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    size = (500, 500)
    paper, difference = random.uniform(90, 200), random.uniform(25, 50) * random.choice([-1, 1])
    sheet = placed(strokes(digit, random), random, size)
    return photographed(painted([paper] * 3, [paper + difference] * 3, sheet), random, noise=5)


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        paper_photo, pencil, marker, coloured_ink, ruled_paper, squared_paper, shadow_edge, corner, chalk, screenshot,
        transparent_png, mouse, rotated, exif_turned, scan, low_contrast,
    )
}  # fmt: skip


def _white(random: np.random.Generator) -> Floats:
    return _floats(random.uniform((225, 220, 200), (255, 252, 248)))


def _dark(random: np.random.Generator) -> Floats:
    return _floats(random.uniform(0, (70, 70, 120)))


def _disk(radius: int) -> NDArray[Any]:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _pieces(mask: NDArray[Any]) -> tuple[int, int]:
    """How many pieces of ink and of ground."""
    return cv2.connectedComponents(mask)[0], cv2.connectedComponents(1 - mask)[0]


def _floats(values: Any) -> Floats:
    return np.asarray(values, np.float32)
