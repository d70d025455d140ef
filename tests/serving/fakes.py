"""A model whose answers are known in advance, so that the API can be tested apart from learning."""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.manifest import MODEL, InputSpec, Manifest, Metric
from models.pictures.preparation import DIGIT_INPUT
from serving.index.memory import NeighborIndex
from serving.model import Prediction

LIMIT = 200_000
"""Bytes that the service under test takes at most."""


class FakeModel:
    """Says the class `sum of the pixels modulo how many there are`, knows 0 to 4 alone; can be held, and can fail."""

    name = "fake@000000000000"
    provider = "FakeExecutionProvider"
    dim = 4

    def __init__(self, class_names: Sequence[str] = "0123456789", spec: InputSpec = DIGIT_INPUT) -> None:
        self.class_names, self.input = tuple(class_names), spec
        self.manifest = fake_manifest(self.class_names, spec)
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
        count = len(self.class_names)
        probabilities = np.full(count, 0.01, np.float32)
        embedding = np.array([0.6, 0.8, 0, 0], np.float32)
        if not count:
            return Prediction(-1, probabilities, embedding, True, np.float32(0))
        digit = expected_digit(image, count)
        probabilities[digit] = 1.01 - 0.01 * count
        return Prediction(digit, probabilities, embedding, digit < 5, np.float32(0.1 * digit))


def expected_digit(image: NDArray[np.uint8], count: int = 10) -> int:
    return int(image.sum(dtype=np.int64) % count)


def fake_manifest(class_names: tuple[str, ...], spec: InputSpec) -> Manifest:
    return Manifest(
        name="fake",
        created="2026-11-30T12:00:00+00:00",
        git_commit=None,
        protocol="Nothing was measured.",
        knowledge="none",
        files={MODEL: 64 * "0"},
        input=spec,
        network={},
        inputs=(),
        outputs=(),
        class_names=class_names,
        novelty_threshold=0.45,
        metrics={"test_accuracy": Metric(value=0.75, low=0.5, high=0.9, n=20)},
        training={},
        packages={},
    )


def fake_index(labels: Sequence[str | None] = "0123") -> NeighborIndex:
    """Four unit vectors along the axes."""
    return NeighborIndex(
        ids=["a", "b", "c", "d"],
        embeddings=np.eye(4, dtype=np.float16),
        labels=labels,
        given=np.array([True, False, False, False]),
    )
