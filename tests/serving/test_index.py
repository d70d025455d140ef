import numpy as np
import pytest

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


def test_parts_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        NeighborIndex(["a"], np.eye(2, dtype=np.float32), ["a", "b"], np.ones(2, bool))
