"""Random views of pictures: what each setting changes, and what none may."""

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from training.views.pictures import PictureViews, affine_maps, picture_views

NOTHING = PictureViews(part=1, stretch=0, rotation_degrees=0, whole=0, flip=False, light=0, colour=0, gray=0, blur=0)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def noise(channels: int = 3, n: int = 64, side: int = 24) -> Tensor:
    return torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8, generator=generator())


def test_nothing_to_change_changes_nothing() -> None:
    for channels in (1, 3):
        assert torch.equal(picture_views(noise(channels), NOTHING, generator()), noise(channels))


@pytest.mark.parametrize("changed", [{"part": 0.5}, {"stretch": 0.3}, {"rotation_degrees": 20.0}, {"flip": True}])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_geometry_moves_pixels(changed: dict[str, Any], channels: int) -> None:
    images = noise(channels)
    views = picture_views(images, replace(NOTHING, **changed), generator())
    assert views.shape == images.shape
    assert views.dtype == torch.uint8
    assert not torch.equal(views, images)


def test_a_flip_mirrors_about_half_of_the_images_exactly() -> None:
    images = noise(n=400)
    views = picture_views(images, replace(NOTHING, flip=True), generator())
    mirrored = [torch.equal(view, image.flip(-1)) for view, image in zip(views, images, strict=True)]
    same = [torch.equal(view, image) for view, image in zip(views, images, strict=True)]
    assert sum(mirrored) + sum(same) == 400
    assert 160 < sum(mirrored) < 240


def test_some_views_are_the_whole_image() -> None:
    images = noise(n=400)
    views = picture_views(images, PictureViews(whole=0.25, flip=False, light=0, colour=0), generator())
    same = sum(torch.equal(view, image) for view, image in zip(views, images, strict=True))
    assert 70 < same < 130


def test_a_part_lies_inside_the_image() -> None:
    maps = affine_maps(2000, PictureViews(part=0.3, rotation_degrees=0), generator())
    reach = maps[:, :, :2].abs().sum(dim=2) + maps[:, :, 2].abs()
    assert reach.max() <= 1 + 1e-5
    assert maps[:, 0, 0].abs().min() >= 0.3 * 0.85
    assert maps[:, :, 2].abs().max() > 0.3


def test_light_and_colour_keep_every_edge_in_its_place() -> None:
    half = torch.zeros(50, 3, 8, 8, dtype=torch.uint8)
    half[:, 0, :, 4:], half[:, 1, :, :4] = 180, 120
    views = picture_views(half, replace(NOTHING, light=0.3, colour=0.5), generator()).float()
    assert (views[:, :, :, :4].std(dim=(2, 3)) == 0).all()
    assert views[:, :, 0, 0].std(dim=0).min() > 5


def test_views_without_colour_are_gray() -> None:
    views = picture_views(noise(n=300), replace(NOTHING, gray=0.3), generator())
    gray = (views[:, 0] == views[:, 1]).flatten(1).all(dim=1) & (views[:, 1] == views[:, 2]).flatten(1).all(dim=1)
    assert 60 < gray.sum() < 120


def test_blur_smooths_its_share() -> None:
    images = noise(1, n=100)
    views = picture_views(images, replace(NOTHING, blur=0.4), generator())
    smoothed = views.float().std(dim=(1, 2, 3)) < 0.6 * images.float().std(dim=(1, 2, 3))
    assert smoothed.sum() == 40


def test_geometry_alone_keeps_light_and_colour() -> None:
    views = PictureViews(gray=0.5, blur=0.5).geometry()
    assert (views.light, views.colour, views.gray, views.blur) == (0, 0, 0, 0)
    assert {one.name for one in fields(views)} == {one.name for one in fields(NOTHING)}
    assert views.part == PictureViews().part


def test_the_same_seed_gives_the_same_views() -> None:
    first, second = (picture_views(noise(), PictureViews(gray=0.2, blur=0.2), generator()) for _ in range(2))
    assert torch.equal(first, second)
