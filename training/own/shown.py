"""Views of few pictures, and what the encoder makes of each: teacher and student look at the same pixels.

Few pictures say little of what is the same in two of them. Their views say more, if the teacher is asked about each
view rather than about its picture (Beyer et al. 2022, arXiv:2106.05237). Of many pictures none are made.
"""

import ast
import hashlib
import inspect
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from models.manifest import InputSpec
from models.pictures.plain import coloured
from models.pictures.preparation import as_input
from training.data.catalogue import code
from training.data.rows import Rows
from training.encoders import Encoder
from training.own.pictures import Pictures
from training.views import pictures as module
from training.views.pictures import PictureViews

VIEWS = 16_000
"""Views that the encoder is asked about, at most: some three minutes of one core for EfficientNet-Lite0."""
MOST = 16
"""Views of one picture, at most."""
LEAST = 2
"""Views of one picture below which none are made."""
BATCH_SIZE = 32
"""Pictures that are decoded together."""


class Shown(NamedTuple):
    """Views, several of each picture."""

    images: Tensor
    """(n, channels, height, width) uint8, as the student sees them."""
    features: NDArray[np.float32]
    """(n, dim), the encoder's."""


def views_each(pictures: int) -> int:
    """How many views are made of each picture: a power of two, so that some more pictures need no others; or 0."""
    affordable = min(MOST, VIEWS // max(pictures, 1))
    return 0 if affordable < LEAST else 1 << affordable.bit_length() - 1


def shown(pictures: Pictures, encoder: Encoder, spec: InputSpec, settings: PictureViews) -> Shown | None:
    """Views of the pictures to train on, at the encoder's size; None where there are too many pictures.

    A picture's views are drawn by its content: they are computed once, and kept.

    Args:
        spec: what the student sees, reduced from what the encoder sees.
    """
    training = pictures.training.tolist()
    count = views_each(len(training))
    if not count:
        return None
    run = encoder.opened()
    dim = run(np.zeros((1, *encoder.input(spec.kind).shape), np.uint8)).shape[1]
    folder, key = pictures.cache / code() / "views", _key(encoder, spec, settings)
    features = Rows(folder, f"{key}-features", (count, dim), np.float16)
    images = Rows(folder, f"{key}-images", (count, *spec.shape), np.uint8)
    digests = [info.digest for info in pictures.good]
    wanted = [digests[place] for place in training]
    missing = pictures.training[~(features.known(wanted) & images.known(wanted))]
    generator = torch.Generator()
    with tqdm(
        total=len(missing) * count, desc="views", unit=" images", unit_scale=True, disable=not len(missing)
    ) as bar:
        for places, pixels in pictures.batches(encoder.input(spec.kind), BATCH_SIZE, missing.tolist()):
            drawn = [
                _views(picture, count, generator.manual_seed(int.from_bytes(digests[place][:7])), settings)
                for place, picture in zip(places, as_input(list(pixels)), strict=True)
            ]
            named = [digests[place] for place in places]
            features.add(named, np.stack([run(views.numpy()) for views in drawn]).astype(np.float16))
            images.add(named, np.stack([_reduced(views, spec).numpy() for views in drawn]))
            bar.update(len(drawn) * count)
    return Shown(
        torch.from_numpy(images.read(wanted)).flatten(0, 1),
        features.read(wanted).reshape(-1, dim).astype(np.float32),
    )


def _key(encoder: Encoder, spec: InputSpec, settings: PictureViews) -> str:
    """Names what the views of a picture depend on."""
    made_by = ast.dump(ast.parse(inspect.getsource(module)))
    parts = (encoder.digest, spec, settings, onnxruntime.__version__, made_by)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _views(picture: NDArray[np.uint8], count: int, generator: torch.Generator, settings: PictureViews) -> Tensor:
    """`count` views of one picture (channels, height, width)."""
    return settings.apply(torch.from_numpy(picture)[None].repeat(count, 1, 1, 1), generator)


def _reduced(views: Tensor, spec: InputSpec) -> Tensor:
    """(n, 3, height, width) uint8 → what the student would see of such pictures: (n, *spec.shape) uint8."""
    if spec.channels == 1:
        views = torch.from_numpy(as_input([coloured(one, 1) for one in views.permute(0, 2, 3, 1).numpy()]))
    smaller = F.interpolate(views.float(), (spec.height, spec.width), mode="bilinear", antialias=True)
    return smaller.round_().clamp_(0, 255).to(torch.uint8)
