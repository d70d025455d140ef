"""Copies among thumbnails: found when changed as programs change pictures, and nothing else is."""

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.pictures.decode import open_image
from models.pictures.preparation import preparation
from tests.conftest import Digits
from tests.pictures.messy import encoded
from training.check import copies as module
from training.check.copies import LIKELY, STANDS_OUT, SURE, THUMBNAIL, Copies, copies, flat, similar_pairs
from training.data.info import FileInfo

Thumbnails = NDArray[np.uint8]


def scene(random: np.random.Generator) -> Image.Image:
    """A picture of its own, with light and shade of all sizes as photographs have them."""
    layers = [
        cv2.resize(random.normal(0, 20, (size, size, 3)).astype(np.float32), (96, 72), interpolation=cv2.INTER_CUBIC)
        for size in (2, 4, 8, 16, 32)
    ]
    return Image.fromarray(np.clip(128 + sum(layers), 0, 255).astype(np.uint8))


def thumbnail(image: Image.Image) -> Thumbnails:
    return preparation(THUMBNAIL).prepare(open_image(encoded(image, "PNG"), 10**6)).pixels


def info(pixels: bytes) -> FileInfo:
    return FileInfo(pixels, 1, "PNG", "RGB", 9, 9, None, False, pixels)


def resaved(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(encoded(image, "JPEG", quality=quality)))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved as JPEG": lambda image: resaved(image, 50),
    "made smaller": lambda image: image.resize((48, 36)),
    "made larger": lambda image: image.resize((200, 150)),
    "made gray": lambda image: image.convert("L"),
    "brighter": lambda image: image.point(lambda value: value * 1.15 + 10),
    "cut by a pixel": lambda image: image.crop((1, 1, 95, 71)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_pictures_are_copies(change: str) -> None:
    random = np.random.default_rng(0)
    scenes = [scene(random) for _ in range(60)]
    changed = [CHANGES[change](image) for image in scenes[:5]]
    pairs = similar_pairs(np.stack([thumbnail(image) for image in [*scenes, *changed]]))
    assert sorted(pairs) == [(place, 60 + place) for place in range(5)]


def test_mirrored_and_other_pictures_are_none() -> None:
    random = np.random.default_rng(1)
    scenes = [scene(random) for _ in range(300)]
    mirrored = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in scenes[:20]]
    assert similar_pairs(np.stack([thumbnail(image) for image in scenes + mirrored])) == []


def test_what_all_have_in_common_makes_no_copies() -> None:
    """Such as the grid and the bars of solar cells, or a fixed camera's background."""
    random = np.random.default_rng(2)
    common = np.asarray(scene(random), np.float32)
    own = [np.asarray(scene(random), np.float32) - 128 for _ in range(200)]
    cells = [Image.fromarray(np.clip(common + 0.1 * one, 0, 255).astype(np.uint8)) for one in own]
    thumbnails = np.stack([thumbnail(image) for image in [*cells, resaved(cells[7], 90)]])
    raw = thumbnails[:2].reshape(2, -1).astype(float)
    assert np.corrcoef(raw)[0, 1] > LIKELY
    assert similar_pairs(thumbnails) == [(7, 200)]


def test_classes_whose_members_look_alike_are_no_copies(digits: Digits) -> None:
    images = np.stack([cv2.resize(image, (24, 24), interpolation=cv2.INTER_AREA) for image in digits[0]])
    assert len(similar_pairs(images)) <= 5


def test_pairs_agree_with_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    base = random.integers(0, 256, (30, 24, 24))
    noisy = [base[random.integers(30)] + random.normal(0, random.uniform(2, 25), (24, 24)) for _ in range(150)]
    thumbnails = np.clip(np.stack([*base, *noisy]), 0, 255).astype(np.uint8)
    units = module._units(thumbnails).astype(np.float64)
    similar = units @ units.T
    np.fill_diagonal(similar, -np.inf)
    tenth = np.sort(similar, axis=1)[:, -10]
    wanted = {
        (left, right)
        for left, right in zip(*np.nonzero(np.triu(similar >= LIKELY)), strict=True)
        if similar[left, right] >= SURE or 1 - similar[left, right] <= STANDS_OUT * (1 - max(tenth[left], tenth[right]))
    }
    assert len(wanted) > 50
    for block in (512, 7):
        monkeypatch.setattr(module, "BLOCK", block)
        monkeypatch.setattr(module, "PAIRS", block)
        assert set(similar_pairs(thumbnails)) == wanted


def test_two_are_enough_and_blank_ones_are_not_compared() -> None:
    image = thumbnail(scene(np.random.default_rng(4)))
    assert similar_pairs(np.stack([image, image])) == [(0, 1)]
    assert similar_pairs(image[None]) == similar_pairs(image[:0, None]) == []
    shades = np.stack([np.full((24, 24), shade, np.uint8) for shade in (0, 9, 255)])
    assert flat(shades).all()
    assert not flat(image[None]).any()
    assert similar_pairs(shades) == []


def test_of_very_many_some_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    image = thumbnail(scene(np.random.default_rng(4)))
    assert len(similar_pairs(np.stack([image] * 30))) == 45


def test_groups_hold_equal_and_similar_pictures() -> None:
    random = np.random.default_rng(5)
    scenes = [scene(random) for _ in range(20)]
    images = [
        *scenes,
        resaved(scenes[3], 60),
        scenes[3],
        scenes[8],
        Image.new("L", (9, 9), 7),
        Image.new("L", (9, 9), 7),
    ]
    contents = [image.tobytes() for image in images]
    infos = [info(content) for content in contents]
    thumbnails = np.stack([thumbnail(image) for image in images])
    assert copies(infos, thumbnails) == [
        Copies((3, 20, 21), equal=False), Copies((8, 22), equal=True), Copies((23, 24), equal=True),
    ]  # fmt: skip
    assert copies(infos[:20], thumbnails[:20]) == []
    assert copies([], thumbnails[:0]) == []
