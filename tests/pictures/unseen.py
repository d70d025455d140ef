"""Kinds of upload that were not looked at while the way from upload to digit was developed; as in `realistic`."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.pictures.realistic import Kind, gradient, painted, photographed, placed, saved, strokes


def note_on_table(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    """A coloured note that lies turned on a dark table."""
    note = [(250, 235, 120), (250, 170, 190), (160, 220, 240), (245, 245, 240)][random.integers(4)]
    page = painted(note, (30, 30, 70), placed(strokes(digit, random), random, (320, 320), (0.5, 0.9)))
    table = np.array([(70, 45, 30), (60, 60, 65), (30, 40, 45)][random.integers(3)], np.float32)
    scene = np.broadcast_to(table, (600, 700, 3)) + random.standard_normal((600, 1, 1), np.float32) * 4
    turn = cv2.getRotationMatrix2D((160, 160), float(random.uniform(-10, 10)), 1)
    turn = np.asarray(turn, np.float64) + [[0, 0, shift] for shift in random.uniform(60, 220, 2)]
    placed_page = cv2.warpAffine(page, turn, (700, 600))
    inside = np.asarray(cv2.warpAffine(np.ones((320, 320), np.float32), turn, (700, 600)), np.float32)[..., None]
    scene = np.asarray(scene * (1 - inside) + placed_page, np.float32)
    return photographed(scene * gradient(random, (600, 700), 0.75), random)


def form_box(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    """A form's field in print around the digit, scanned as black and white."""
    picture = np.full((400, 400), 255, np.float32)
    side, line = int(random.integers(220, 330)), int(random.integers(2, 7))
    top, left = (int(random.integers(15, 385 - side)) for _ in range(2))
    cv2.rectangle(picture, (left, top), (left + side, top + side), 0, line)
    drawn = placed(strokes(digit, random), random, (side - 30, side - 30), (0.7, 1))
    picture[top + 15 : top + side - 15, left + 15 : left + side - 15] *= 1 - drawn
    return saved(np.where(picture > 128, 255, 0), "TIFF")


def soft_webp(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    """Out of focus, vignetted, compressed hard."""
    rows, columns = np.mgrid[-1:1:500j, -1:1:400j]
    light = (1 - 0.35 * (rows**2 + columns**2) / 2).astype(np.float32)[..., None]
    sheet = placed(strokes(digit, random), random, (500, 400), (0.5, 0.95))
    scene = painted((225, 215, 200), (50, 50, 60), np.asarray(cv2.GaussianBlur(sheet, (0, 0), 4), np.float32)) * light
    return saved(scene, "WEBP", quality=20)


def neon(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    """Red on green of the same lightness, or the other way round, as a screen shows it."""
    colours = np.array([(230, 40, 60), (20, 130, 50)])[random.permutation(2)]
    return saved(painted(colours[0], colours[1], placed(strokes(digit, random), random, (360, 480))), "PNG")


def from_the_side(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    """A sheet that the phone was not held square to."""
    scene = painted((245, 242, 230), (40, 40, 60), placed(strokes(digit, random), random, (600, 500), (0.5, 0.85)))
    corners = np.array([(0, 0), (500, 0), (500, 600), (0, 600)], np.float32)
    moved = corners + random.uniform(-60, 60, (4, 2)).astype(np.float32)
    seen = cv2.warpPerspective(
        scene, cv2.getPerspectiveTransform(corners, moved), (500, 600), borderValue=(245, 242, 230)
    )
    return photographed(np.asarray(seen, np.float32) * gradient(random, (600, 500), 0.6), random)


def whiteboard(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    """Marker on a board that a lamp glares on, with smears of what was wiped off."""
    size, inks = (500, 700), [(20, 20, 25), (190, 30, 40), (20, 60, 170), (10, 110, 60)]
    rows, columns = np.mgrid[:500, :700].astype(np.float32)
    y, x = random.uniform(0, 500), random.uniform(0, 700)
    glare = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2 / random.uniform(40, 120) ** 2)[..., None]
    smear = cv2.GaussianBlur(random.standard_normal(size, np.float32), (0, 0), sigmaX=40, sigmaY=6)
    board = np.float32(205) + np.asarray(smear, np.float32)[..., None] * np.float32(4 / smear.std())
    drawn = placed(strokes(digit, random, random.uniform(-0.5, 1)), random, size, (0.4, 0.9))
    return photographed(painted(board, inks[random.integers(4)], drawn) + np.asarray(60 * glare, np.float32), random)


def kraft_paper(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    """Ballpoint on brown paper full of fibres."""
    size = (560, 560)
    fibres = np.zeros(size, np.float32)
    for _ in range(400):
        x, y, angle, length = random.uniform((0, 0, 0, 4), (560, 560, 2 * np.pi, 25))
        end = (round(x + length * np.cos(angle)), round(y + length * np.sin(angle)))
        cv2.line(fibres, (round(x), round(y)), end, float(random.uniform(-18, 18)), 1)
    drawn = placed(strokes(digit, random, -0.5), random, size)
    return photographed(painted(np.array((185, 145, 100)) + fibres[..., None], (30, 35, 110), drawn), random)


def photographed_screen(digit: NDArray[np.uint8], random: np.random.Generator) -> bytes:
    """A drawing on a screen, with the grid of its pixels and of the camera's."""
    drawn = placed(strokes(digit, random, random.uniform(-0.5, 1)), random, (640, 640), (0.4, 0.8))
    rows, columns = np.mgrid[:640, :640].astype(np.float32)
    pitch, angle = random.uniform(2.2, 4), random.uniform(-0.1, 0.1)
    grid = np.sin(2 * np.pi * (rows + angle * columns) / pitch) * np.sin(2 * np.pi * (columns - angle * rows) / pitch)
    light = np.asarray(1 + random.uniform(0.05, 0.2) * grid, np.float32)[..., None]
    return photographed(painted((235, 240, 250), (20, 20, 30), drawn) * light, random)


UNSEEN: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        note_on_table, form_box, soft_webp, neon, from_the_side, whiteboard, kraft_paper, photographed_screen,
    )
}  # fmt: skip
