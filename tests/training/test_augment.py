from dataclasses import replace

import torch
from torch.nn import functional as F

from training.augment import ViewSettings, affine_field, elastic_field, random_views
from training.data import Dataset

STILL = ViewSettings(rotation_degrees=0, scale=0, shear=0, translate_pixels=0, elastic_pixels=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_transform_changes_nothing(sample: Dataset) -> None:
    images = sample.images[:20]
    assert torch.equal(random_views(images, STILL, seeded()), images)


def test_views_have_the_images_shape_and_type_and_keep_their_ink(sample: Dataset) -> None:
    views = random_views(sample.images, ViewSettings(), seeded())
    assert views.shape == sample.images.shape
    assert views.dtype == torch.uint8
    ratio = views.float().mean() / sample.images.float().mean()
    assert 0.8 < ratio < 1.25


def test_each_image_of_a_batch_gets_its_own_transform(sample: Dataset) -> None:
    same = sample.images[:1].expand(64, -1, -1, -1)
    views = random_views(same, ViewSettings(), seeded()).flatten(1)
    assert len(torch.unique(views, dim=0)) == 64


def test_a_seed_fixes_the_views(sample: Dataset) -> None:
    one, again, other = (random_views(sample.images[:50], ViewSettings(), seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_shift_of_whole_pixels_is_exact(sample: Dataset) -> None:
    """Whatever the random shift is, sampling at it equals moving the pixels by it."""
    settings = replace(STILL, translate_pixels=3.0)
    field = affine_field(1, 28, settings, seeded(3))
    still = affine_field(1, 28, STILL, seeded(3))
    shift = ((field - still)[0, :, 0, 0] * 14).tolist()  # in pixels
    assert all(abs(part) <= 3 for part in shift)
    assert torch.allclose((field - still)[0, 0], (field - still)[0, 0, 0, 0])
    grid = (still + torch.tensor([2.0, -1.0]).view(1, 2, 1, 1) * 2 / 28).permute(0, 2, 3, 1)
    moved = F.grid_sample(sample.images[:1].float(), grid, align_corners=False)[0, 0]
    expected = torch.zeros(28, 28)
    expected[1:, :-2] = sample.images[0, 0, :-1, 2:].float()
    torch.testing.assert_close(moved, expected, atol=1e-2, rtol=0)


def test_the_affine_field_equals_torchs_own() -> None:
    field = affine_field(1, 28, STILL, seeded())
    identity = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    torch.testing.assert_close(
        field.permute(0, 2, 3, 1), F.affine_grid(identity, [1, 1, 28, 28], align_corners=False), atol=1e-6, rtol=0
    )


def test_nothing_is_ever_mirrored() -> None:
    """The affine part keeps orientation (positive determinant), the elastic part does not fold the plane on average."""
    settings = replace(ViewSettings(), elastic_pixels=0)
    field = affine_field(5000, 28, settings, seeded()) * 14  # pixels
    right = field[:, :, 0, 1] - field[:, :, 0, 0]
    down = field[:, :, 1, 0] - field[:, :, 0, 0]
    determinant = right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0]
    assert determinant.min() > 0.3
    assert determinant.max() < 3


def test_the_elastic_field_has_its_standard_deviation_and_is_smooth() -> None:
    settings = replace(STILL, elastic_pixels=2.0)
    field = elastic_field(2000, 28, settings, seeded()) * 14
    assert field.shape == (2000, 2, 28, 28)
    corner = field[:, :, 0, 0]  # a control point
    assert abs(corner.std().item() - 2.0) < 0.1
    assert abs(field.mean().item()) < 0.1
    steps = (field[..., 1:] - field[..., :-1]).abs()
    assert steps.mean() < 2.0 / 4
