"""What the users send unless they are told otherwise: real MNIST test digits as PNG files. Knows nothing about HTTP."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

DIGITS = Path(__file__).parent.parent / "examples" / "digits.npz"


def load_digits() -> tuple[list[bytes], list[int]]:
    """1,000 distinct PNG files (28×28, 8-bit gray) and the digit on each."""
    with np.load(DIGITS) as arrays:
        return [to_png(image) for image in arrays["images"]], arrays["labels"].tolist()


def to_png(image: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> bytes:
    """(28, 28) uint8 → the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()
