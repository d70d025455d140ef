"""Which images to label next, and which labels to doubt: clouds whose answer is known, and slow oracles."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from models.selection import NEAR, UNLABELLED, Floats, doubtful, neighbour_votes, to_label
from training.soft_labels import half_whitened, unit

DIM = 32


def clouds(*sizes: int, spread: float = 0.05, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Unit vectors around a random centre for each size, in random order, and the cloud of each."""
    rng = np.random.default_rng(seed)
    of = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    vectors = rng.normal(size=(len(sizes), DIM))[of] / np.sqrt(DIM) + rng.normal(size=(len(of), DIM)) * spread
    return unit(np.asarray(vectors, np.float32)), of


def none(n: int) -> NDArray[np.bool_]:
    return np.zeros(n, np.bool_)


@pytest.mark.parametrize("seed", range(5))
def test_each_cloud_gets_one_before_any_gets_two(seed: int) -> None:
    vectors, of = clouds(*[40] * 9, 150, seed=seed)
    chosen = to_label(vectors, none(len(of)), 10, seed=seed)
    assert sorted(of[chosen]) == list(range(10))
    assert of[chosen[0]] == 9  # the largest first


@pytest.mark.parametrize("seed", range(5))
def test_clouds_without_a_label_come_first(seed: int) -> None:
    vectors, of = clouds(*[100] * 5, *[30] * 5, seed=seed)
    labelled = none(len(of))
    labelled[[np.flatnonzero(of == one)[0] for one in range(5)]] = True
    assert sorted(of[to_label(vectors, labelled, 5)]) == [5, 6, 7, 8, 9]


def test_greedy_choice_is_that_of_the_definition() -> None:
    vectors, of = clouds(60, 50, 40, 30, spread=0.15, seed=3)
    rng = np.random.default_rng(0)
    labelled = rng.random(len(of)) < 0.05
    probabilities = np.asarray(rng.dirichlet(np.ones(4), len(of)), np.float32)
    space = unit(half_whitened(vectors - vectors.mean(axis=0), 64)).astype(np.float64)
    cosines = (space @ space.T).clip(0)
    sorted_rows = np.sort(probabilities, axis=1)
    doubt = 1.05 - (sorted_rows[:, -1] - sorted_rows[:, -2])
    covered = cosines[labelled].max(axis=0)
    expected: list[int] = []
    for _ in range(30):
        taken = labelled.copy()
        taken[expected] = True
        taken |= (cosines[taken] >= NEAR).any(axis=0)
        gains = [0 if taken[j] else float(doubt @ np.maximum(cosines[j] - covered, 0)) for j in range(len(of))]
        expected.append(int(np.argmax(gains)))
        covered = np.maximum(covered, cosines[expected[-1]])
    assert to_label(vectors, labelled, 30, probabilities).tolist() == expected


def test_copies_come_after_all_others() -> None:
    distinct, _ = clouds(*[1] * 30)
    vectors = np.repeat(distinct, 4, axis=0)
    labelled = none(120)
    labelled[:4:4] = True  # one of the first four copies
    chosen = to_label(vectors, labelled, 1000)
    assert len(chosen) == len(set(chosen)) == 119
    assert not labelled[chosen].any()
    assert sorted(chosen[:29] // 4) == list(range(1, 30))


def test_a_burst_of_nearly_equal_images_gets_one() -> None:
    vectors, of = clouds(500, *[1] * 500, spread=0.005)  # a second of the burst would gain most
    labelled = none(len(of))
    chosen = to_label(vectors, labelled, 501)
    assert sorted(of[chosen]) == list(range(501))
    labelled[np.flatnonzero(of == 0)[0]] = True
    assert sorted(of[to_label(vectors, labelled, 500)]) == list(range(1, 501))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_or_equal_images_are_all_chosen(n: int) -> None:
    for vectors in (np.ones((n, 4), np.float32), np.zeros((n, 4), np.float32), np.eye(n, 4, dtype=np.float32)):
        assert sorted(to_label(vectors, none(n), 5)) == list(range(n))
        assert sorted(to_label(vectors, none(n), 5, np.ones((n, 1), np.float32))) == list(range(n))
        assert to_label(vectors, ~none(n), 5).tolist() == []
        assert to_label(vectors, none(n), 0).tolist() == []
    assert to_label(np.empty((0, 4), np.float32), none(0), 5).tolist() == []


def test_same_seed_same_choice_whatever_the_scale() -> None:
    vectors, of = clouds(*[900] * 10, spread=0.1)
    first = to_label(vectors, none(len(of)), 20, seed=1)
    assert first.tolist() == to_label(vectors, none(len(of)), 20, seed=1).tolist()
    assert first.tolist() == to_label(vectors * 4, none(len(of)), 20, seed=1).tolist()
    assert first.tolist() != to_label(vectors, none(len(of)), 20, seed=2).tolist()
    half = to_label(vectors.astype(np.float16), none(len(of)), 10, seed=1)
    assert sorted(of[half]) == list(range(10))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    vectors, of = clouds(20, 20)
    probabilities = np.full((40, 2), 0.5, np.float32)
    probabilities[7, 1] = bad
    with pytest.raises(ValueError, match="finite"):
        to_label(vectors, none(40), 5, probabilities)
    vectors[3, 2] = bad
    with pytest.raises(ValueError, match="finite"):
        to_label(vectors, none(40), 5)
    with pytest.raises(ValueError, match="finite"):
        neighbour_votes(vectors, of, 2)


def test_memory_is_bounded() -> None:
    vectors = np.random.default_rng(0).normal(size=(60_000, 128)).astype(np.float32)
    labelled = none(len(vectors))
    labelled[:20_000] = True
    probabilities = np.full((60_000, 10), 0.1, np.float32)
    tracemalloc.start()
    try:
        chosen = to_label(vectors, labelled, 100, probabilities)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(set(chosen)) == 100
    assert chosen.min() >= 20_000
    assert peak < 500e6


@pytest.mark.parametrize("seed", range(5))
def test_the_second_round_finds_a_rare_class_that_the_model_doubts(seed: int) -> None:
    vectors, of = clouds(800, 800, 800, 8, spread=0.15, seed=seed)
    labelled = none(len(of))
    labelled[to_label(vectors, labelled, 10, seed=seed)] = True
    assert 3 not in of[labelled]
    centres = np.stack([vectors[labelled & (of == one)].mean(axis=0) for one in range(3)])
    scores = np.exp(10 * vectors @ centres.T)
    probabilities = np.asarray(scores / scores.sum(axis=1, keepdims=True), np.float32)
    assert 3 in of[to_label(vectors, labelled, 10, probabilities, seed)]
    assert 3 not in of[to_label(vectors, labelled, 10, None, seed)]


def test_wrong_labels_are_found_and_right_ones_left() -> None:
    vectors, of = clouds(60, 60, 60)
    labels = np.where(np.arange(len(of)) % 3 == 0, UNLABELLED, of)
    assert doubtful(labels, neighbour_votes(vectors, labels, 3)).tolist() == []
    wrong = np.flatnonzero(labels != UNLABELLED)[[3, 50, 90]]
    labels[wrong] = (labels[wrong] + 1) % 3
    assert sorted(doubtful(labels, neighbour_votes(vectors, labels, 3))) == wrong.tolist()


def test_the_most_surely_contradicted_comes_first() -> None:
    probabilities = np.array([[0.1, 0.9], [0.4, 0.6], [0.9, 0.1], [0, 1], [0.5, 0.5], [0, 0]], np.float32)
    assert doubtful(np.array([0, 0, 0, UNLABELLED, 0, 1]), probabilities).tolist() == [0, 1]
    assert doubtful(np.full(6, UNLABELLED), probabilities).tolist() == []


@pytest.mark.parametrize("neighbours", [1, 4])
def test_votes_are_those_of_the_definition(neighbours: int) -> None:
    vectors, of = clouds(30, 20, 10, spread=0.2)
    labels = np.where(np.arange(len(of)) % 4 == 0, UNLABELLED, of)
    space = unit(half_whitened(vectors - vectors.mean(axis=0), 64)).astype(np.float64)
    expected = np.zeros((len(of), 3))
    for one in np.flatnonzero(labels != UNLABELLED):
        others = [j for j in np.flatnonzero(labels != UNLABELLED) if j != one]
        for j in sorted(others, key=lambda j: -space[one] @ space[j])[:neighbours]:
            expected[one, labels[j]] += max(space[one] @ space[j], 1e-6)
        expected[one] /= expected[one].sum()
    np.testing.assert_allclose(neighbour_votes(vectors, labels, 3, neighbours), expected, atol=1e-5)


@pytest.mark.parametrize("known", [0, 1, 2])
def test_votes_of_hardly_any_labels(known: int) -> None:
    vectors, of = clouds(5, 5)
    labels = np.full(10, UNLABELLED)
    labels[:known] = of[:known]
    votes = neighbour_votes(vectors, labels, 2)
    assert votes.sum(axis=1).round(5).tolist() == ([1.0] * 2 + [0.0] * 8 if known == 2 else [0.0] * 10)
