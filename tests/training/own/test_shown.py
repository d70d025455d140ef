"""Views that the encoder sees too: teacher and student look at the same pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.manifest import InputSpec
from tests.training.own.conftest import Folder
from training.data.collection import collect
from training.data.scan import scan
from training.encoders import Encoder, find_encoder
from training.own.pictures import Pictures
from training.own.shown import MOST, VIEWS, Shown, shown, views_each
from training.views.pictures import PictureViews

COLOUR = InputSpec("crop", 32, 32, 3)
"""As large as the encoder's own input."""


def pictures_of(data: Path, cache: Path) -> Pictures:
    collection = collect(data)
    return Pictures(collection, scan(collection, cache), cache)


def found(path: Path, tmp_path: Path) -> Encoder:
    encoder = find_encoder(str(path), tmp_path / "encoders")
    assert encoder is not None
    return encoder


def made(pictures: Pictures, encoder: Encoder, spec: InputSpec = COLOUR) -> Shown:
    result = shown(pictures, encoder, spec, PictureViews())
    assert result is not None
    return result


def test_few_pictures_have_many_views_and_many_have_none() -> None:
    assert [views_each(count) for count in (1, 10, 1500, 4000, 8000)] == [MOST, MOST, 8, 4, 2]
    assert views_each(VIEWS) == 0
    for count in (3, 999, 2001, 7999):
        assert count * views_each(count) <= VIEWS


def test_the_features_are_the_encoders_of_the_very_views(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    teacher, pictures = found(encoder, tmp_path), pictures_of(folder(tested=2), tmp_path / "cache")
    views = made(pictures, teacher)
    assert views.images.shape == (78 * MOST, 3, 32, 32)
    assert views.images.dtype == torch.uint8
    np.testing.assert_allclose(teacher.opened()(views.images.numpy()), views.features, rtol=2e-3, atol=2e-3)
    assert len(np.unique(views.images[:MOST].numpy(), axis=0)) > MOST // 2  # they differ


def test_a_gray_student_sees_the_same_views_smaller_and_gray(folder: Folder, encoder: Path, tmp_path: Path) -> None:
    teacher, pictures = found(encoder, tmp_path), pictures_of(folder(tested=2), tmp_path / "cache")
    gray = made(pictures, teacher, InputSpec("crop", 16, 16, 1))
    colour = made(pictures, teacher)
    assert gray.images.shape == (78 * MOST, 1, 16, 16)
    weights = torch.tensor([0.299, 0.587, 0.114])
    expected = torch.einsum("nchw,c->nhw", colour.images.float(), weights)
    difference = gray.images.float().mean(dim=(1, 2, 3)) - expected.mean(dim=(1, 2))
    assert difference.abs().max() < 1


def test_views_are_kept_and_a_pictures_views_are_its_own(
    folder: Folder, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, data = found(encoder, tmp_path), folder(tested=2)
    first = made(pictures_of(data, tmp_path / "cache"), teacher)
    with monkeypatch.context() as context:
        context.setattr(PictureViews, "apply", None)  # drawing again would fail
        again = made(pictures_of(data, tmp_path / "cache"), teacher)
    assert torch.equal(first.images, again.images)
    for path in (data / "unlabelled").iterdir():
        path.unlink()
    fewer = made(pictures_of(data, tmp_path / "other cache"), teacher)
    rows = {one.numpy().tobytes() for one in first.images.view(-1, MOST, 3, 32, 32)}
    assert len(fewer.images) == 18 * MOST
    assert {one.numpy().tobytes() for one in fewer.images.view(-1, MOST, 3, 32, 32)} <= rows
