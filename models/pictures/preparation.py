"""A picture → the model's input, by the kind, size and channels that a bundle's manifest names.

Callers hold a `Preparation` and need not know the kinds.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.manifest import BundleError, InputSpec
from models.pictures.decode import to_picture
from models.pictures.ink import digit_of
from models.pictures.plain import coloured, cropped, stretched
from models.pictures.png import Picture, plain_form, plain_png
from models.pictures.strokes import SIZE, has_mnists_form

DIGIT_INPUT = InputSpec("digit", SIZE, SIZE, 1)
RESIZES = {"crop": cropped, "stretch": stretched}
"""Kinds for pictures of anything: how they come to the model's size."""
CHANNELS = (1, 3)
"""Gray, or red, green and blue."""

SMALL = 4096
"""Numbers in a picture up to which a clean file is decoded where it arrives: at worst that takes some milliseconds."""


class Found(NamedTuple):
    """What was found in a picture."""

    pixels: Picture
    """(height, width) or (height, width, 3) uint8: what the model sees; `as_input` makes its input of several."""
    several: bool = False
    """Whether there is more in the picture that could be meant."""


class Preparation(NamedTuple):
    """How pictures become the input of a model."""

    prepare: Callable[[Image.Image], Found]
    """Decodes an opened image and finds what the model is to see; raises UndecodableImage."""
    already_prepared: Callable[[bytes], Picture | None]
    """A file's bytes → its pixels if the model sees them as they are, equal to what `prepare` finds; else None.

    The common case, many times as fast.
    """


def preparation(spec: InputSpec) -> Preparation:
    """The preparation for such an input; raises BundleError for one that there is none for."""
    if spec.kind == DIGIT_INPUT.kind:
        if spec != DIGIT_INPUT:
            raise BundleError(f"an input of the kind {spec.kind} is {DIGIT_INPUT.shape}, not {spec.shape}")
        return Preparation(_digit, _mnists_png)
    if spec.kind not in RESIZES:
        known = ", ".join([DIGIT_INPUT.kind, *RESIZES])
        raise BundleError(f"input of the kind {spec.kind!r} is unknown; this version knows {known}")
    if spec.channels not in CHANNELS or min(spec.height, spec.width) < 1:
        raise BundleError(f"an input of shape {spec.shape}: pictures have 1 or 3 channels")
    small = spec.height * spec.width * spec.channels <= SMALL
    form = plain_form(spec.height, spec.width, spec.channels)
    return Preparation(partial(_resized, spec), partial(plain_png, form=form) if small else _never_prepared)


def as_input(pictures: Sequence[Picture]) -> NDArray[np.uint8]:
    """n pictures of one shape, (height, width[, 3]) → the model's input: (n, channels, height, width)."""
    stacked = np.array(pictures)
    return stacked[:, None] if stacked.ndim == 3 else np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))


def resized(picture: Picture, spec: InputSpec) -> Picture:
    """A decoded picture as a model with such an input, of a kind among `RESIZES`, sees it."""
    return RESIZES[spec.kind](coloured(picture, spec.channels), spec.height, spec.width)


def _resized(spec: InputSpec, image: Image.Image) -> Found:
    return Found(resized(to_picture(image), spec))


def _never_prepared(_content: bytes) -> None:
    return None


def _digit(image: Image.Image) -> Found:
    return Found(*digit_of(to_picture(image)))


def _mnists_png(content: bytes) -> Picture | None:
    pixels = plain_png(content, PLAIN_DIGIT)
    return pixels if pixels is not None and has_mnists_form(pixels) else None


PLAIN_DIGIT = plain_form(SIZE, SIZE, 1)
