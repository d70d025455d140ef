"""Pieces of photographs and of noise like them, as the service would show them to the model; see nondigits.py."""

from functools import cache

import cv2
import numpy as np
from matplotlib.cbook import get_sample_data
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

from models.pictures.preparation import DIGIT_INPUT, preparation

Random = np.random.Generator
Picture = NDArray[np.uint8]


def uploaded(picture: NDArray[np.generic]) -> Picture:
    """What the model is shown of a picture, (28, 28) uint8."""
    image = Image.fromarray(np.clip(picture.astype(np.float32), 0, 255).astype(np.uint8))
    return preparation(DIGIT_INPUT).prepare(image).pixels


def shrunk(picture: NDArray[np.generic]) -> Picture:
    """What the model is shown of the picture reduced to 28×28 pixels."""
    return uploaded(cv2.resize(picture.astype(np.float32), (28, 28), interpolation=cv2.INTER_AREA))


def either(picture: NDArray[np.generic], random: Random) -> Picture:
    return uploaded(picture) if random.random() < 0.5 else shrunk(picture)


def natural_noise(random: Random) -> Picture:
    """Noise whose amplitude falls with frequency as in natural images (Field 1987)."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
    frequency[0, 0] = 1
    picture = np.fft.ifft2(np.fft.fft2(random.normal(size=(64, 64))) / frequency ** random.uniform(0.8, 1.5)).real
    return either((picture - picture.mean()) / picture.std() * 50 + 128, random)


@cache
def _photographs() -> list[Picture]:
    return [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8) for image in load_sample_images().images]


def photograph(random: Random) -> Picture:
    """A square cut out of one of scikit-learn's two photographs."""
    return _cut(_photographs()[random.integers(2)], random)


def portrait(random: Random) -> Picture:
    """A square cut out of matplotlib's portrait of Grace Hopper."""
    return _cut(_portrait(), random)


@cache
def _portrait() -> Picture:
    return np.asarray(Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("L"))


def _cut(whole: Picture, random: Random) -> Picture:
    size = int(random.integers(28, 300))
    top, left = random.integers(whole.shape[0] - size), random.integers(whole.shape[1] - size)
    return either(whole[top : top + size, left : left + size], random)
