"""Draws uploads of every kind beside what the model sees of them: `python -m tests.reports.sheet sheet.png`."""

import io
import sys

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.pictures.decode import open_image
from models.pictures.preparation import DIGIT_INPUT, preparation
from tests.conftest import ROOT
from tests.pictures.realistic import KINDS
from tests.pictures.unseen import UNSEEN

SIDE = 140
COLUMNS = 6


def pair(content: bytes) -> NDArray[np.uint8]:
    """(SIDE, 2 SIDE, 3) uint8: the upload as a viewer shows it, and the model's 28×28."""
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGBA")
    ground = Image.new("RGBA", shown.size, (120, 150, 120, 255))
    ground.alpha_composite(shown)
    left = np.asarray(ImageOps.pad(ground.convert("RGB"), (SIDE, SIDE), color=(90, 90, 90)))
    digit = preparation(DIGIT_INPUT).prepare(open_image(content, 25_000_000)).pixels
    right = cv2.resize(digit, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return np.concatenate([left, np.repeat(right[..., None], 3, axis=2)], axis=1).astype(np.uint8)


def sheet(digits: NDArray[np.uint8]) -> Image.Image:
    """A row for each kind, COLUMNS of `digits` (n, 28, 28) uint8 in each."""
    rows = []
    for number, (name, kind) in enumerate({**KINDS, **UNSEEN}.items()):
        random = np.random.default_rng(number)
        row = np.concatenate([pair(kind(one, random)) for one in random.permutation(digits)[:COLUMNS]], axis=1)
        cv2.putText(row, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 120, 0), 1)
        rows.append(row)
    return Image.fromarray(np.concatenate(rows))


if __name__ == "__main__":
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        sheet(arrays["images"]).save(sys.argv[1])
