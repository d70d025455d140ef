"""Random views of digits: the whole batch at once, another transform for each image.

Nothing is ever flipped: a mirrored 2 is no 2. A turned 6 is a 9, so rotations stay small too. Each view has
thinner or thicker strokes than its image, then one affine map plus one smooth (elastic) displacement, both applied by a
single bilinear sampling.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class ViewSettings:
    """Ranges of the random transforms; all but the elastic displacement are drawn uniformly.

    With these values a person still reads every view; training/experiments/LOG.md tells what wider ranges cost.
    """

    rotation_degrees: float = 10.0
    """Largest rotation, degrees."""
    scale: float = 0.12
    """Largest relative change of size, each axis by itself."""
    shear: float = 0.15
    """Largest shear, as the tangent of its angle."""
    translate_pixels: float = 1.5
    """Largest shift along each axis, pixels."""
    elastic_pixels: float = 0.8
    """Standard deviation of the elastic displacement at its control points, pixels (Simard et al. 2003)."""
    elastic_grid: int = 5
    """Control points of the elastic displacement along each axis."""
    thin: float = 0.5
    """Thinnest strokes: this share of the way from the image to its 3×3 erosion."""
    thicken: float = 1.0
    """Thickest strokes: this share of the way from the image to its 3×3 dilation."""
    coarse: float = 0.0
    """Share of the images, the first ones, that look as if they had fewer pixels."""

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """One random view of each image, as `random_views`."""
        return random_views(images, self, generator)


GENTLE = ViewSettings(
    rotation_degrees=5.0, scale=0.06, shear=0.08, translate_pixels=0.8, elastic_pixels=0.4, thin=0.0, thicken=0.0
)
"""About half of the default, strokes as they are."""


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.empty(n, device=generator.device).uniform_(low, high, generator=generator)


def affine_matrices(n: int, size: int, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """`n` independent random maps from output to input coordinates, as `F.affine_grid` takes them: (n, 2, 3) float32.

    Rotation · shear · scale, then a shift.
    """
    angle = torch.deg2rad(_uniform(n, -settings.rotation_degrees, settings.rotation_degrees, generator))
    shear = _uniform(n, -settings.shear, settings.shear, generator)
    scale_x, scale_y = (_uniform(n, 1 - settings.scale, 1 + settings.scale, generator) for _ in range(2))
    reach = settings.translate_pixels * 2 / size
    shift_x, shift_y = (_uniform(n, -reach, reach, generator) for _ in range(2))
    cos, sin = angle.cos(), angle.sin()
    to_x = torch.stack([cos * scale_x, (shear * cos - sin) * scale_y, shift_x], dim=1)
    to_y = torch.stack([sin * scale_x, (shear * sin + cos) * scale_y, shift_y], dim=1)
    return torch.stack([to_x, to_y], dim=1)


def affine_field(matrices: Tensor, size: int) -> Tensor:
    """Sampling position of each output pixel: (n, 2, size, size) float32, x before y, in `grid_sample`'s units.

    Those run from -1 to 1 between the edges. Equals `F.affine_grid`, but as one large matrix product instead of n small
    ones, which is 10 times faster on a CPU.
    """
    field = matrices.reshape(-1, 3) @ _pixel_coordinates(size, matrices.device)  # (2n, size * size)
    return field.view(-1, 2, size, size)


@cache
def _pixel_coordinates(size: int, device: torch.device) -> Tensor:
    """Homogeneous coordinates (x, y, 1) of every pixel's centre: (3, size * size)."""
    centres = (torch.arange(size) * 2 + 1) / size - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)]).flatten(1).to(device)


def elastic_field(n: int, size: int, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """`n` smooth random displacements, to be added to `affine_field`: (n, 2, size, size) float32."""
    points = settings.elastic_grid
    control = torch.randn((n, 2, points, points), device=generator.device, generator=generator)
    # Bicubic upsampling is linear: two matrix products do it.
    weights = _bicubic_weights(points, size, control.device)  # (size, points)
    return weights @ (control * (settings.elastic_pixels * 2 / size)) @ weights.T


@cache
def _bicubic_weights(points: int, size: int, device: torch.device) -> Tensor:
    unit = torch.eye(points)[None, None]  # (1, 1, points, points)
    return F.interpolate(unit, size=(size, points), mode="bicubic", align_corners=True)[0, 0].to(device)


def change_strokes(images: Tensor, amount: Tensor) -> Tensor:
    """Thinner strokes where `amount` (n,) is below 0, thicker ones above; -1 is the 3×3 erosion, 1 the 3×3 dilation.

    (n, 1, size, size) float32 in and out. Without it, contrastive learning separates images by the thickness of their
    strokes, which says nothing about the digit.
    """
    amount = amount.view(-1, 1, 1, 1)
    dilated, eroded = _over_neighbours(torch.maximum, images), _over_neighbours(torch.minimum, images)
    return images + amount.clamp_min(0) * (dilated - images) + amount.clamp_max(0) * (images - eroded)


def _over_neighbours(extreme: Callable[[Tensor, Tensor], Tensor], images: Tensor) -> Tensor:
    """The largest or smallest of each 3×3 neighbourhood inside the image; faster than `F.max_pool2d`."""
    for axis in (2, 3):
        size = images.shape[axis]
        before, after = images.narrow(axis, 0, size - 1), images.narrow(axis, 1, size - 1)
        pairs = extreme(before, after)  # (…, size - 1)
        inner = extreme(pairs.narrow(axis, 0, size - 2), pairs.narrow(axis, 1, size - 2))
        images = torch.cat([pairs.narrow(axis, 0, 1), inner, pairs.narrow(axis, size - 2, 1)], dim=axis)
    return images


def coarsened(images: Tensor) -> Tensor:
    """Images as if half as many pixels a side, or two fifths, had been all there was: (n, 1, size, size) float32."""
    size, parts = images.shape[-1], images.chunk(2)
    coarse = []
    for part, pixels in zip(parts, (size // 2, 2 * size // 5), strict=False):
        small = F.interpolate(part, size=(pixels, pixels), mode="area")
        coarse.append(F.interpolate(small, size=(size, size), mode="bicubic").clamp(0, 255))
    return torch.cat(coarse)


def random_views(images: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """One random view of each image.

    Args:
        images: (n, 1, size, size) uint8, ink 255 on background 0.
        generator: source of all randomness; its device must be the images'.

    Returns:
        (n, 1, size, size) uint8; outside the image there is background.
    """
    n, _, size, _ = images.shape
    field = affine_field(affine_matrices(n, size, settings, generator), size)
    field += elastic_field(n, size, settings, generator)
    grid = field.permute(0, 2, 3, 1)
    strokes = change_strokes(images.float(), _uniform(n, -settings.thin, settings.thicken, generator))
    views = F.grid_sample(strokes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    if count := round(n * settings.coarse):
        views[:count] = coarsened(views[:count])
    return views.round_().to(torch.uint8)
