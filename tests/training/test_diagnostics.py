import math

import pytest
import torch
from torch.nn import functional as F

from tests.training.networks import NT_XENT, cpu_run, small_backbone
from training.data.dataset import Dataset
from training.diagnostics import alignment, diagnose, effective_rank, leave_one_out, uniformity
from training.stages.pretrain import PretrainSettings, pretrain
from training.views.digits import ViewSettings


def test_alignment_of_opposite_equal_and_orthogonal_vectors() -> None:
    z = F.normalize(torch.randn(10, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    assert alignment(z, z) == 0
    assert alignment(z, -z) == pytest.approx(4)
    assert alignment(torch.eye(4), torch.eye(4).roll(1, 0)) == pytest.approx(2)


def test_uniformity_of_collapse_and_of_an_orthogonal_set() -> None:
    assert uniformity(torch.ones(5, 4) / 2) == pytest.approx(0)
    assert uniformity(torch.eye(6)) == pytest.approx(-4)


def test_uniformity_of_the_whole_sphere() -> None:
    """Wang & Isola, proposition 1: on the circle it is log(e^-4 · I0(4))."""
    angle = torch.linspace(0, 2 * math.pi, 2001)[:-1]
    z = torch.stack([angle.cos(), angle.sin()], dim=1)
    assert uniformity(z) == pytest.approx(-4 + math.log(11.3019220), abs=5e-3)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_effective_rank_counts_equal_directions(rank: int) -> None:
    features = torch.zeros(8, 8)
    features[range(rank), range(rank)] = 5.0
    assert effective_rank(features) == pytest.approx(rank, rel=1e-3)


def test_leave_one_out_does_not_find_itself() -> None:
    z = F.normalize(torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), dim=1)
    assert leave_one_out(z, torch.tensor([0, 0, 1, 1])) == 1
    assert leave_one_out(z, torch.tensor([0, 1, 2, 3])) == 0


def test_a_collapsed_backbone_is_reported_and_a_trained_one_is_not(sample: Dataset) -> None:
    run = cpu_run()
    backbone = small_backbone()
    pretrain(backbone, sample.images, PretrainSettings(epochs=5, batch_size=128), run, NT_XENT)
    examined = sample.images[:500], sample.images[500:700], sample.labels[500:700], ViewSettings()
    healthy = diagnose(backbone, *examined)
    assert healthy.warning() is None
    assert healthy.knn > 0.7
    assert "rank" in str(healthy)
    with torch.no_grad():
        for parameter in list(backbone.parameters())[-2:]:
            parameter.zero_()
        list(backbone.parameters())[-1].fill_(1.0)
    collapsed = diagnose(backbone, *examined)
    assert collapsed.alignment == pytest.approx(0)
    assert "nearly the same" in str(collapsed.warning())


def test_a_diagnosis_changes_nothing(sample: Dataset) -> None:
    backbone = small_backbone().train()
    before = [value.clone() for value in backbone.state_dict().values()]
    state = torch.random.get_rng_state()
    diagnose(backbone, sample.images[:100], sample.images[:50], sample.labels[:50], ViewSettings())
    assert backbone.training
    assert torch.equal(state, torch.random.get_rng_state())
    for now, then in zip(backbone.state_dict().values(), before, strict=True):
        assert torch.equal(now, then)
