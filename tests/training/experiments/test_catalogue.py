"""Which labels the experiments keep, and the networks that they end with."""

import torch

from training.data.dataset import Dataset
from training.experiments.article import article_classifier
from training.experiments.catalogue import EXPERIMENTS, at_random, balanced, first
from training.networks import count_parameters


def test_draws_are_what_their_names_say(sample: Dataset) -> None:
    labels = sample.labels
    assert first(labels, 3, count=200).tolist() == list(range(200))
    even = balanced(labels, 0, count=50)
    assert torch.bincount(labels[even]).tolist() == [5] * 10
    drawn = at_random(labels, 0, count=200)
    assert len(set(drawn.tolist())) == 200
    assert set(torch.bincount(labels[drawn]).tolist()) != {20}
    for draw in (at_random, balanced):
        assert torch.equal(draw(labels, 1, count=100), draw(labels, 1, count=100))
        assert not torch.equal(draw(labels, 1, count=100), draw(labels, 2, count=100))


def test_a_draw_has_every_class(sample: Dataset) -> None:
    """Without drawing again, about one draw of 12 labels in 160 has all ten."""
    labels = sample.labels[:300]
    assert set(labels[at_random(labels, 0, count=12)].tolist()) == set(range(10))


def test_every_experiment_draws_and_builds(sample: Dataset) -> None:
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
    for experiment in EXPERIMENTS:
        kept = experiment.draw(sample.labels, 0)
        assert set(sample.labels[kept].tolist()) == set(range(10))
        if experiment.substitute:
            assert experiment.substitute(10).eval()(sample.images[:3]).shape == (3, 10)


def test_the_articles_network_has_the_articles_size() -> None:
    assert count_parameters(article_classifier(10)) == 8_874
