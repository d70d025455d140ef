"""Random views of pictures of anything: the whole batch at once, another transform for each image.

One affine map per image (a part of it, turned, mirrored), applied by a single bilinear sampling; then one linear map of
its colours; some are blurred. Each can be switched off: where colour is the class, a view must keep it.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
BLUR = (0.25, 0.5, 0.25)
"""A binomial filter, applied along both axes, twice."""


@dataclass(frozen=True)
class PictureViews:
    """Ranges of the random transforms, drawn uniformly."""

    part: float = 0.6
    """Smallest share of the image's sides that a view shows; 1 shows all of it."""
    stretch: float = 0.15
    """Largest relative change of a view's proportions."""
    rotation_degrees: float = 5.0
    """Largest rotation, degrees."""
    whole: float = 0.25
    """Share of the views that show all of the image, pixel by pixel: sampling elsewhere smooths, and a network that has
    seen smoothed textures alone does not know sharp ones."""
    flip: bool = True
    """Whether half of the views are mirrored left to right."""
    light: float = 0.3
    """Largest relative change of brightness and of contrast."""
    colour: float = 0.3
    """Largest relative change of saturation; of gray images nothing changes."""
    gray: float = 0.0
    """Share of the views without colour."""
    blur: float = 0.0
    """Share of the views that are blurred."""

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """One random view of each image, as `picture_views`."""
        return picture_views(images, self, generator)

    def geometry(self) -> "PictureViews":
        """The same without any change of light, colour or sharpness."""
        return replace(self, light=0.0, colour=0.0, gray=0.0, blur=0.0)

    def mirrored(self) -> "PictureViews":
        """The images as they are, or mirrored if these views may be."""
        return replace(self.geometry(), whole=1.0, rotation_degrees=0.0)


def picture_views(images: Tensor, settings: PictureViews, generator: torch.Generator) -> Tensor:
    """One random view of each of (n, channels, height, width) uint8 images: the same shape and dtype."""
    n, channels = images.shape[:2]
    grid = F.affine_grid(affine_maps(n, settings, generator), list(images.shape), align_corners=False)
    views = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    if settings.light or (channels == 3 and (settings.colour or settings.gray)):
        views = _relit(views, settings, generator)
    if count := round(n * settings.blur):
        chosen = torch.randperm(n, device=generator.device, generator=generator)[:count]
        views[chosen] = _blurred(views[chosen])
    return views.round_().clamp_(0, 255).to(torch.uint8)


def affine_maps(n: int, settings: PictureViews, generator: torch.Generator) -> Tensor:
    """`n` random maps from a view's coordinates to its image's, as `F.affine_grid` takes them: (n, 2, 3) float32.

    The part that a view shows lies inside the image, but for what its rotation adds at the corners.
    """

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(n, device=generator.device).uniform_(low, high, generator=generator)

    moved = (uniform(0, 1) >= settings.whole).float()
    size = 1 - moved * uniform(0.0, 1 - settings.part)
    proportion = (moved * uniform(-settings.stretch, settings.stretch)).exp()
    across, down = (size * proportion).clamp_max(1), (size / proportion).clamp_max(1)
    shift_x, shift_y = uniform(-1, 1) * (1 - across), uniform(-1, 1) * (1 - down)
    angle = moved * torch.deg2rad(uniform(-settings.rotation_degrees, settings.rotation_degrees))
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0) if settings.flip else torch.ones_like(size)
    cos, sin = angle.cos(), angle.sin()
    to_x = torch.stack([mirror * across * cos, -down * sin, shift_x], dim=1)
    to_y = torch.stack([mirror * across * sin, down * cos, shift_y], dim=1)
    return torch.stack([to_x, to_y], dim=1)


def _relit(views: Tensor, settings: PictureViews, generator: torch.Generator) -> Tensor:
    """Other brightness, contrast (about the image's own mean) and saturation for each of (n, channels, …) floats."""
    n, channels = views.shape[:2]

    def factors(reach: float) -> Tensor:
        return torch.empty(n, 1, 1, device=generator.device).uniform_(1 - reach, 1 + reach, generator=generator)

    brightness, contrast = factors(settings.light), factors(settings.light)
    flat = views.flatten(2)  # (n, channels, pixels)
    mean = flat.mean(dim=(1, 2), keepdim=True)
    if channels == 3:
        saturation = factors(settings.colour)
        if settings.gray:
            drawn = torch.rand(n, 1, 1, device=generator.device, generator=generator)
            saturation = torch.where(drawn < settings.gray, 0.0, saturation)
        weights = torch.tensor(LUMINANCE, device=views.device)
        flat = torch.lerp((weights @ flat)[:, None], flat, saturation)
    return (torch.lerp(mean, flat, contrast) * brightness).view_as(views)


def _blurred(views: Tensor) -> Tensor:
    """(n, channels, height, width) floats, smoothed."""
    channels = views.shape[1]
    line = torch.tensor(BLUR, device=views.device)
    kernel = (line[:, None] * line).expand(channels, 1, 3, 3)
    for _ in range(2):
        views = F.conv2d(F.pad(views, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)
    return views
