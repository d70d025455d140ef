"""Pictures of anything: how they are brought to a model's size and colours."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.manifest import BundleError, InputSpec
from models.pictures.decode import open_image
from models.pictures.plain import cropped, stretched
from models.pictures.preparation import SMALL, as_input, preparation
from tests.pictures.uploads import encoded

random = np.random.default_rng(0)


def noise(*shape: int) -> NDArray[np.uint8]:
    return random.integers(0, 256, shape, dtype=np.uint8)


def quarters() -> NDArray[np.uint8]:
    """Twice as wide as high: black, white, white, black from left to right."""
    return np.repeat(np.array([[0, 255, 255, 0]], np.uint8), 10, axis=1).repeat(20, axis=0)


def test_a_crop_takes_the_middle_and_a_stretch_takes_all() -> None:
    assert (cropped(quarters(), 8, 8) == 255).all()
    assert (cropped(quarters().T, 8, 8) == 255).all()
    assert np.array_equal(stretched(quarters(), 8, 8)[0], [0, 0, 255, 255, 255, 255, 0, 0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (7, 3), (32, 32), (33, 90), (300, 200)])
@pytest.mark.parametrize("kind", ["crop", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_picture_comes_to_the_models_size(shape: tuple[int, int], kind: str, channels: int) -> None:
    prepare = preparation(InputSpec(kind, 24, 32, channels)).prepare
    for picture in (noise(*shape), noise(*shape, 3)):
        pixels = prepare(open_image(encoded(picture), 1_000_000)).pixels
        assert pixels.shape == ((24, 32) if channels == 1 else (24, 32, 3))
        assert as_input([pixels, pixels]).shape == (2, channels, 24, 32)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_fast_way_sees_what_the_slow_way_sees(channels: int) -> None:
    prepare, already_prepared = preparation(InputSpec("crop", 32, 32, channels))
    content = encoded(noise(32, 32) if channels == 1 else noise(32, 32, 3))
    fast = already_prepared(content)
    assert fast is not None
    np.testing.assert_array_equal(fast, prepare(open_image(content, 1024)).pixels)
    assert already_prepared(encoded(noise(32, 31, 3))) is None


def test_large_files_take_the_slow_way() -> None:
    side = int(SMALL**0.5) + 1
    assert preparation(InputSpec("crop", side, side, 1)).already_prepared(encoded(noise(side, side))) is None


def test_stripes_of_a_strip_are_averaged() -> None:
    """One axis shrinks while the other grows."""
    strip = np.repeat(np.tile(np.array([0, 255], np.uint8), 1000)[None], 40, axis=0)
    assert np.abs(stretched(strip, 64, 64).astype(int) - 127).max() <= 6


def test_gray_is_the_luminance_of_colours() -> None:
    picture = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    pixels = preparation(InputSpec("stretch", 8, 8, 1)).prepare(open_image(encoded(picture), 64)).pixels
    assert (pixels == 76).all()  # 0.299 · 255


@pytest.mark.parametrize("shape", [(0, 8, 1), (8, 8, 2), (8, 8, 4)])
def test_an_input_that_no_picture_has_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(BundleError, match="1 or 3 channels"):
        preparation(InputSpec("crop", *shape))
    with pytest.raises(BundleError, match="digit"):
        preparation(InputSpec("digit", 32, 32, 1))
