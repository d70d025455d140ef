"""A picture → the model's input, by the kind of input that a bundle's manifest names.

Callers hold a `Preparation` and need not know the kinds.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.manifest import BundleError
from models.pictures.decode import to_picture
from models.pictures.ink import digit_of
from models.pictures.png import plain_form, plain_png
from models.pictures.strokes import SIZE, has_mnists_form

PLAIN_DIGIT = plain_form(SIZE, SIZE)


class Found(NamedTuple):
    """What was found in a picture."""

    pixels: NDArray[np.uint8]
    """(height, width) uint8: the model's input."""
    several: bool = False
    """Whether there is more in the picture that could be meant."""


class Preparation(NamedTuple):
    """How pictures become the input of a model."""

    prepare: Callable[[Image.Image], Found]
    """Decodes an opened image and finds what the model is to see; raises UndecodableImage."""
    already_prepared: Callable[[bytes], NDArray[np.uint8] | None]
    """A file's bytes → its pixels if these are the model's input as they are, equal to what `prepare` finds; else None.

    The common case, many times as fast.
    """


def preparation(kind: str) -> Preparation:
    """The preparation for a kind of input; raises BundleError for an unknown one."""
    if kind not in PREPARATIONS:
        raise BundleError(f"input of the kind {kind!r} is unknown; this version knows {', '.join(PREPARATIONS)}")
    return PREPARATIONS[kind]


def _digit(image: Image.Image) -> Found:
    return Found(*digit_of(to_picture(image)))


def _mnists_png(content: bytes) -> NDArray[np.uint8] | None:
    pixels = plain_png(content, PLAIN_DIGIT)
    return pixels if pixels is not None and has_mnists_form(pixels) else None


PREPARATIONS = {"digit": Preparation(_digit, _mnists_png)}
