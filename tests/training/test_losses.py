import math
from itertools import chain

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss
from torch import Tensor

from training.losses import nt_xent_loss


def oracle(z0: Tensor, z1: Tensor, temperature: float) -> float:
    """SimCLR's equation 1 and algorithm 1 with the paper's own order (2k-1 and 2k are partners), one pair at a time."""
    z = list(chain.from_iterable(zip(z0.double().tolist(), z1.double().tolist(), strict=True)))
    n = len(z0)

    def similarity(i: int, j: int) -> float:
        dot: float = sum(a * b for a, b in zip(z[i], z[j], strict=True))
        return dot / (math.hypot(*z[i]) * math.hypot(*z[j]))

    def term(i: int, j: int) -> float:
        others = sum(math.exp(similarity(i, k) / temperature) for k in range(2 * n) if k != i)
        return -math.log(math.exp(similarity(i, j) / temperature) / float(others))

    return sum(term(2 * k, 2 * k + 1) + term(2 * k + 1, 2 * k) for k in range(n)) / (2 * n)


def projections(n: int = 6, dim: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=generator), torch.randn(n, dim, generator=generator)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_equals_the_papers_equation(n: int, temperature: float) -> None:
    z0, z1 = projections(n)
    assert nt_xent_loss(z0, z1, temperature).item() == pytest.approx(oracle(z0, z1, temperature), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_equals_an_independent_library_with_its_gradient(temperature: float) -> None:
    z0, z1 = (z.requires_grad_() for z in projections(16, 8))
    ours = nt_xent_loss(z0, z1, temperature)
    gradient = torch.autograd.grad(ours, (z0, z1))
    labels = torch.arange(16).repeat(2)
    theirs = NTXentLoss(temperature=temperature)(torch.cat([z0, z1]), labels)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    for one, other in zip(gradient, torch.autograd.grad(theirs, (z0, z1)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_closed_form_of_orthogonal_images() -> None:
    """Both views equal, images orthogonal: -log(e^(1/t) / (e^(1/t) + 2n - 2))."""
    n, temperature = 8, 0.5
    z = torch.eye(n)
    expected = math.log(math.exp(1 / temperature) + 2 * n - 2) - 1 / temperature
    assert nt_xent_loss(z, z, temperature).item() == pytest.approx(expected, rel=1e-6)


def test_closed_form_of_collapse() -> None:
    """All projections alike: every one of the 2n - 1 others is as likely."""
    z = torch.ones(8, 3)
    assert nt_xent_loss(z, z, 0.2).item() == pytest.approx(math.log(15), rel=1e-6)


def test_symmetries() -> None:
    z0, z1 = projections()
    loss = nt_xent_loss(z0, z1, 0.5)
    order = torch.randperm(len(z0), generator=torch.Generator().manual_seed(1))
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(2)))[0]
    for same in (
        nt_xent_loss(z1, z0, 0.5),
        nt_xent_loss(z0[order], z1[order], 0.5),
        nt_xent_loss(z0 @ rotation, z1 @ rotation, 0.5),
        nt_xent_loss(3 * z0, 0.2 * z1, 0.5),
    ):
        torch.testing.assert_close(same, loss)
    assert nt_xent_loss(z0, z1[order], 0.5) != loss


def test_half_precision_projections_are_summed_in_float32() -> None:
    z0, z1 = projections(64, 16)
    low = nt_xent_loss(z0.bfloat16(), z1.bfloat16(), 0.1)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, nt_xent_loss(z0.bfloat16().float(), z1.bfloat16().float(), 0.1))


@pytest.mark.parametrize("shapes", [((3, 4), (4, 4)), ((3, 4), (3, 5)), ((3,), (3,))])
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="must both be"):
        nt_xent_loss(torch.ones(shapes[0]), torch.ones(shapes[1]), 0.5)
