"""The article's experiments, on a small scale."""

import json

import pytest
import torch

from training.data.dataset import Dataset
from training.experiments.article import article_backbone, article_head
from training.experiments.benchmark import RESULTS
from training.experiments.reproduce import (
    LOG,
    MARKERS,
    REPORTED,
    ArticleSettings,
    pretrain,
    score,
    supervised,
    table,
    views,
)
from training.loop import seeded_generator
from training.networks import count_parameters

CPU = torch.device("cpu")


def network() -> torch.nn.Sequential:
    return torch.nn.Sequential(article_backbone(), article_head(10))


def test_the_network_ends_in_probabilities(sample: Dataset) -> None:
    assert count_parameters(network()) == 8_874
    torch.testing.assert_close(network()(sample.images[:5].float()).sum(dim=1), torch.ones(5))


def test_supervised_training_uses_only_the_first_128_images(sample: Dataset) -> None:
    """Images 128 to 199 may be anything: the notebook's loop never reaches them."""
    settings = ArticleSettings(epochs=3)
    labelled, test = sample.subset(torch.arange(200)), sample.subset(torch.arange(500, 600))
    altered = labelled.subset(torch.cat([torch.arange(128), torch.arange(127, 55, -1)]))
    weights = []
    for data in (labelled, altered):
        seeded_generator(0, CPU)
        model = network()
        experiment = supervised(model, data, test, settings, "toy")
        weights.append(torch.cat([one.flatten() for one in model.parameters()]))
        assert experiment.scores[-1] == experiment.last == score(model, test.images, test.labels)
        assert experiment.maximum == max(experiment.scores)
    assert torch.equal(*weights)


def test_one_transform_for_the_whole_batch(sample: Dataset) -> None:
    seeded_generator(0, CPU)
    batch = sample.images[:1].float().repeat(4, 1, 1, 1)
    seen = views()(batch)
    assert seen.shape == batch.shape
    assert all(torch.equal(seen[0], other) for other in seen)
    assert not torch.equal(seen[0], batch[0])


def test_pretraining_stops_when_the_loss_no_longer_falls(sample: Dataset) -> None:
    seeded_generator(0, CPU)
    model = network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()  # all projections alike, whatever the views
    losses, rates = pretrain(model, sample.images, ArticleSettings(pretrain_batch_size=500))
    assert len(losses) == len(rates) == 7  # six in a row that did not fall
    assert rates[1] == pytest.approx(0.95e-3)


def test_the_diarys_table_is_made_of_the_committed_files() -> None:
    runs = [json.loads(path.read_text()) for path in sorted((RESULTS / "article").glob("*.json"))]
    assert len(runs) == 3
    begin, end = MARKERS
    assert f"{begin}\n\n{table(runs)}\n\n{end}" in LOG.read_text()


def test_the_table_of_two_runs() -> None:
    """Student's t for one degree of freedom is 12.706; 12.706 · 1.414 / √2 = 12.7."""
    runs = [{"experiments": {name: {"maximum": share, "last": 0.5} for name in REPORTED}} for share in (0.6, 0.62)]
    lines = table(runs).splitlines()
    assert len(lines) == 2 + 2 * 3
    title = "supervised, best of all epochs (leaks the test set); the article: 52.5 %"
    assert lines[2] == f"| {title} | 61.0 % | 1.4 % | 48.3 % to 73.7 % | 60.0 % | 2 |"
