from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.manifest import BundleError
from serving.index.memory import NeighborIndex, Query


def random_index(n: int = 500, dim: int = 8) -> tuple[NeighborIndex, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    vectors = np.random.default_rng(0).normal(size=(n, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.arange(n) % 10
    return NeighborIndex([str(number) for number in range(n)], vectors, list(map(str, labels)), labels == 0), vectors


@pytest.mark.parametrize("k", [1, 2, 10, 499, 500, 1000])
def test_the_neighbours_are_those_of_a_full_sort(k: int) -> None:
    index, vectors = random_index()
    for query in vectors[:20]:
        (found,) = index.search([Query(query, k)])
        expected = sorted(range(500), key=lambda number: -float(vectors[number] @ query))[:k]
        assert [int(one["id"]) for one in found] == expected
        assert [one["label"] for one in found] == [str(number % 10) for number in expected]
        assert found[0]["score"] == pytest.approx(1, abs=1e-6)
        assert found[0]["label_source"] == ("given" if expected[0] % 10 == 0 else "predicted")


@pytest.mark.parametrize("n", [1, 5, 63, 64, 65, 1000])
def test_queries_searched_together_are_answered_apart(n: int) -> None:
    index, vectors = random_index(n)
    queries = [Query(vectors[number % n], 1 + number % 7) for number in range(40)]
    for query, found in zip(queries, index.search(queries), strict=True):
        assert len(found) == min(query.k, n)
        scores = vectors @ query.embedding
        best = np.sort(scores)[::-1][: query.k]
        np.testing.assert_allclose([one["score"] for one in found], best, atol=1e-6)
        np.testing.assert_allclose([scores[int(one["id"])] for one in found], best, atol=1e-6)


IDS = ["a b/Äpfel.jpg", "猫.png", "x"]
NAMES = ("Öl", "two\nlines")
ARRAYS: dict[str, Any] = {
    "ids": np.array(IDS),
    "embeddings": np.eye(3, dtype=np.float16),
    "thumbnails": np.zeros((3, 4, 4, 3), np.uint8),
    "labels": np.array([1, -1, 0], np.int32),
    "label_given": np.array([True, False, False]),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.npz"


def test_labels_may_be_given_predicted_or_missing(path: Path) -> None:
    np.savez(path, **ARRAYS)
    (found,) = NeighborIndex.load(path, 3, NAMES).search([Query(np.array([0.8, 0.6, 0], np.float32), 3)])
    assert [(one["id"], one["label"], one["label_source"]) for one in found] == [
        (IDS[0], NAMES[1], "given"),
        (IDS[1], None, None),
        (IDS[2], NAMES[0], "predicted"),
    ]


def test_five_hundred_classes_and_labels_of_a_byte(path: Path) -> None:
    names = tuple(map(str, range(500)))
    for labels in (np.array([499, 0, 256], np.int32), np.array([1, 2, 255], np.uint8)):
        np.savez(path, **{**ARRAYS, "labels": labels})
        (found,) = NeighborIndex.load(path, 3, names).search([Query(np.array([0.7, 0.6, 0.5], np.float32), 3)])
        assert [one["label"] for one in found] == [str(label) for label in labels]


@pytest.mark.parametrize(
    "changed",
    [
        {"labels": np.array([1, 2, 0])},
        {"labels": np.array([1, -2, 0])},
        {"labels": np.array([255, 0, 0], np.uint8)},
        {"labels": np.array([1.0, 0.0, 0.0])},
        {"labels": np.array([[1, 0, 0]])},
        {"labels": np.array([1, 0])},
        {"ids": np.arange(3)},
        {"ids": np.array(["a", "\udcff.jpg", "b"])},
        {"label_given": np.array([1, 0, 0])},
        {"embeddings": np.eye(2, dtype=np.float16)},
    ],
)
def test_an_index_that_does_not_fit_is_refused(path: Path, changed: dict[str, Any]) -> None:
    np.savez(path, **{**ARRAYS, **changed})
    with pytest.raises(BundleError, match=r"index\.npz"):
        NeighborIndex.load(path, 3, NAMES)


@pytest.mark.parametrize("missing", ["ids", "embeddings", "labels", "label_given"])
def test_an_index_that_lacks_an_array_is_refused(path: Path, missing: str) -> None:
    np.savez(path, **{name: values for name, values in ARRAYS.items() if name != missing})
    with pytest.raises(BundleError, match=missing):
        NeighborIndex.load(path, 3, NAMES)


def test_an_index_of_nothing_finds_nothing(path: Path) -> None:
    np.savez(path, **{name: values[:0] for name, values in ARRAYS.items()})
    index = NeighborIndex.load(path, 3, ())
    assert index.search([Query(np.array([1, 0, 0], np.float32), 3)] * 2) == [[], []]


def test_parts_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        NeighborIndex(["a"], np.eye(2, dtype=np.float32), ["a", "b"], np.ones(2, bool))
