from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.dataset import Dataset
from training.views.digits import (
    ViewSettings,
    affine_field,
    affine_matrices,
    change_strokes,
    elastic_field,
    random_views,
)

STILL = ViewSettings(rotation_degrees=0, scale=0, shear=0, translate_pixels=0, elastic_pixels=0, thin=0, thicken=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_transform_changes_nothing(sample: Dataset) -> None:
    images = sample.images[:20]
    assert torch.equal(random_views(images, STILL, seeded()), images)


def test_views_have_the_images_shape_and_type_and_keep_their_ink(sample: Dataset) -> None:
    views = random_views(sample.images, ViewSettings(thin=0, thicken=0), seeded())
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


def test_coarse_views_are_the_first_and_have_little_detail(sample: Dataset) -> None:
    images = sample.images[:40]
    views = random_views(images, replace(STILL, coarse=0.25), seeded())
    assert torch.equal(views[10:], images[10:])
    assert not torch.equal(views[:10], images[:10])

    def detail(some: Tensor) -> float:
        """Mean square of the second difference along rows."""
        return float(some.float().diff(n=2, dim=3).square().mean())

    assert detail(views[:10]) < 0.5 * detail(images[:10])
    assert abs(views[:10].float().mean() / images[:10].float().mean() - 1) < 0.1


def parts(matrices: Tensor) -> dict[str, Tensor]:
    """Rotation (degrees), scales, shear and shifts (pixels) that the (n, 2, 3) matrices are made of."""
    first, second, shift = matrices.unbind(dim=2)
    angle = torch.atan2(first[:, 1], first[:, 0])
    rotation = torch.stack([torch.stack([angle.cos(), angle.sin()]), torch.stack([-angle.sin(), angle.cos()])])
    turned = torch.einsum("ijn,nj->ni", rotation, second)  # the second column with the rotation undone
    return {
        "rotation_degrees": angle.rad2deg(),
        "scale_x": first.norm(dim=1) - 1,
        "scale_y": turned[:, 1] - 1,
        "shear": turned[:, 0] / turned[:, 1],
        "shift_x": shift[:, 0] * 14,
        "shift_y": shift[:, 1] * 14,
    }


def test_every_part_of_the_affine_map_fills_its_range_and_no_more() -> None:
    settings = ViewSettings(rotation_degrees=20, scale=0.3, shear=0.4, translate_pixels=3)
    limits = {"rotation_degrees": 20.0, "scale_x": 0.3, "scale_y": 0.3, "shear": 0.4, "shift_x": 3.0, "shift_y": 3.0}
    for name, values in parts(affine_matrices(5000, 28, settings, seeded())).items():
        assert values.abs().max() <= limits[name] * 1.0001, name
        assert values.max() > 0.98 * limits[name], name
        assert values.min() < -0.98 * limits[name], name
        assert abs(values.mean().item()) < 0.03 * limits[name], name


def test_the_affine_field_equals_torchs_own() -> None:
    matrices = affine_matrices(50, 28, ViewSettings(), seeded())
    ours = affine_field(matrices, 28).permute(0, 2, 3, 1)
    theirs = F.affine_grid(matrices, [50, 1, 28, 28], align_corners=False)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_a_view_is_the_image_sampled_at_its_field(sample: Dataset) -> None:
    """The whole of `random_views` again, from the same random numbers, by torch's own affine_grid and F.interpolate."""
    settings, generator = ViewSettings(), seeded(5)
    matrices = affine_matrices(40, 28, settings, generator)
    control = torch.randn((40, 2, 5, 5), generator=generator) * settings.elastic_pixels * 2 / 28
    elastic = F.interpolate(control, size=(28, 28), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    grid = F.affine_grid(matrices, [40, 1, 28, 28], align_corners=False) + elastic
    amount = torch.empty(40).uniform_(-settings.thin, settings.thicken, generator=generator)
    expected = F.grid_sample(change_strokes(sample.images[:40].float(), amount), grid, align_corners=False)
    views = random_views(sample.images[:40], settings, seeded(5)).float()
    assert (views - expected).abs().max() <= 0.51
    assert (views - sample.images[:40].float()).abs().max() > 100


def test_nothing_is_ever_mirrored() -> None:
    determinants = torch.linalg.det(affine_matrices(5000, 28, ViewSettings(), seeded())[:, :, :2])
    assert determinants.min() > 0.5


def test_the_elastic_field_has_its_standard_deviation_and_is_smooth() -> None:
    settings = replace(STILL, elastic_pixels=2.0)
    field = elastic_field(2000, 28, settings, seeded()) * 14
    assert field.shape == (2000, 2, 28, 28)
    corner = field[:, :, 0, 0]  # a control point
    assert abs(corner.std().item() - 2.0) < 0.1
    assert abs(field.mean().item()) < 0.1
    steps = (field[..., 1:] - field[..., :-1]).abs()
    assert steps.mean() < 2.0 / 4


def test_strokes_go_from_erosion_to_dilation(sample: Dataset) -> None:
    """Against max-pooling, which is the other way to say it; the border counts only what is inside."""
    images = sample.images[:5].float()
    dilated = F.max_pool2d(images, 3, stride=1, padding=1)
    eroded = -F.max_pool2d(-images, 3, stride=1, padding=1)
    assert torch.equal(change_strokes(images, torch.full((5,), 1.0)), dilated)
    assert torch.equal(change_strokes(images, torch.full((5,), -1.0)), eroded)
    assert torch.equal(change_strokes(images, torch.zeros(5)), images)
    each = change_strokes(images, torch.tensor([-0.5, 0.0, 0.5, 1.0, -1.0]))
    torch.testing.assert_close(each[0], (images[0] + eroded[0]) / 2)
    torch.testing.assert_close(each[2], (images[2] + dilated[2]) / 2)
