"""A model whose answers are known in advance, so that the API can be tested apart from learning."""

import threading

import numpy as np
from numpy.typing import NDArray

from models.pictures.preparation import DIGIT_INPUT
from serving.index.memory import NeighborIndex
from serving.model import Prediction

LIMIT = 200_000
"""Bytes that the service under test takes at most."""


class FakeModel:
    """Says the digit `sum of the pixels modulo 10`, knows 0 to 4 alone; can be held, and can fail."""

    name = "fake@000000000000"
    provider = "FakeExecutionProvider"
    dim = 4
    class_names = tuple("0123456789")
    input = DIGIT_INPUT

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.error: BaseException | None = None
        self.released = threading.Event()
        self.released.set()

    def run_batch(self, images: NDArray[np.uint8]) -> list[Prediction]:
        self.released.wait(timeout=30)
        self.batches.append(len(images))
        if self.error:
            raise self.error
        return [self.answer(image) for image in images]

    def answer(self, image: NDArray[np.uint8]) -> Prediction:
        probabilities = np.full(10, 0.01, np.float32)
        digit = expected_digit(image)
        probabilities[digit] = 0.91
        return Prediction(
            digit, probabilities, np.array([0.6, 0.8, 0, 0], np.float32), digit < 5, np.float32(0.1 * digit)
        )


def expected_digit(image: NDArray[np.uint8]) -> int:
    return int(image.sum(dtype=np.int64) % 10)


def fake_index() -> NeighborIndex:
    """Four unit vectors along the axes."""
    return NeighborIndex(
        ids=["a", "b", "c", "d"],
        embeddings=np.eye(4, dtype=np.float16),
        labels=["0", "1", "2", "3"],
        given=np.array([True, False, False, False]),
    )
