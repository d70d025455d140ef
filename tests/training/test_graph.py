"""The graph of nearest neighbours against small cases worked out by hand."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from training.graph import nearest, normalised_links, spread


def test_nearest_agrees_with_a_full_sort() -> None:
    z = F.normalize(torch.randn(1203, 7, generator=torch.Generator().manual_seed(0)), dim=1)
    cosines, indices = nearest(z, 4)
    similar = (z @ z.T).fill_diagonal_(-2).numpy()
    order = np.argsort(-similar, axis=1)[:, :4]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(cosines, np.take_along_axis(similar, order, axis=1), rtol=1e-5)


def test_links_are_symmetric_and_normalised() -> None:
    """A chain 0 - 1 - 2 whose ends point to its middle: W is 0.125 · [[0, 2, 0], [2, 0, 1], [0, 1, 0]]."""
    links = normalised_links(np.full((3, 1), 0.5, np.float32), np.array([[1], [0], [1]])).toarray()
    expected = np.array([[0, 2, 0], [2, 0, 1], [0, 1, 0]]) / np.sqrt(np.outer([2, 3, 1], [2, 3, 1]))
    np.testing.assert_allclose(links, expected, rtol=1e-6)
    assert np.abs(np.linalg.eigvalsh(links)).max() == pytest.approx(1)


def test_what_is_given_spreads_as_the_closed_form_says() -> None:
    """F* = (1 - α) (I - α S)⁻¹ Y: Zhou et al. 2003, equation 4, with its factor."""
    random = np.random.default_rng(0)
    z = F.normalize(torch.from_numpy(random.normal(size=(30, 5)).astype(np.float32)), dim=1)
    links, given = normalised_links(*nearest(z, 4)), np.zeros((30, 3), np.float32)
    given[[0, 1, 2], [0, 1, 2]] = 1
    closed = 0.1 * np.linalg.solve(np.eye(30) - 0.9 * links.toarray(), given)
    np.testing.assert_allclose(spread(links, given, 0.9, 200), closed, atol=1e-6)
