"""All 70,000 images of MNIST reach the model bit-exact."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.pictures.ink import digit_of
from models.pictures.png import as_png
from models.pictures.preparation import DIGIT_INPUT, preparation
from tests.conftest import ROOT
from training.data import mnist


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    """(70000, 28, 28) uint8"""
    return np.concatenate([part.images[:, 0].numpy() for part in mnist.load(ROOT / "data")])


def test_all_of_mnist_is_already_prepared(images: NDArray[np.uint8]) -> None:
    already_prepared = preparation(DIGIT_INPUT).already_prepared
    assert len(images) == 70_000
    for image in images:
        pixels = already_prepared(as_png(image))
        assert pixels is not None
        assert np.array_equal(pixels, image)


def test_the_way_of_all_other_pictures_leaves_mnist_as_it_is_too(images: NDArray[np.uint8]) -> None:
    """Every seventh."""
    assert all(np.array_equal(digit_of(image)[0], image) for image in images[::7])
