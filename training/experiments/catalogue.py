"""The experiments that `make benchmark-accuracy` repeats: which labels are kept, and who learns.

Drawing labels needs all of them; a run then reads only those that were drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from training.experiments.article import ARTICLE_FINETUNE, article_classifier
from training.networks import Classifier
from training.stages.finetune import FinetuneSettings

Draw = Callable[[Tensor, int], Tensor]
"""(n,) labels of all images, seed → indices of those that are kept."""


@dataclass(frozen=True)
class Experiment:
    """Some labels of MNIST's 60,000, and a network to be served."""

    name: str
    title: str
    """As the table calls it."""
    seeds: int
    draw: Draw
    substitute: Callable[[int], Classifier] | None = None
    """Makes the network that is fine-tuned, for so many classes; None takes the pretrained one."""
    finetune: FinetuneSettings = FinetuneSettings()
    features: bool = False
    """Score the frozen features after pretraining too."""
    supervised: bool = False
    """No pretraining, no unlabelled images: only the labelled ones."""


def first(_labels: Tensor, _seed: int, count: int) -> Tensor:
    """The first `count`, whatever the seed."""
    return torch.arange(count)


def at_random(labels: Tensor, seed: int, count: int) -> Tensor:
    """`count` images, each as likely as any other; a draw that misses a class is drawn again."""
    generator = torch.Generator().manual_seed(seed)
    classes = int(labels.max()) + 1
    while True:
        drawn = torch.randperm(len(labels), generator=generator)[:count]
        if len(set(labels[drawn].tolist())) == classes:
            return drawn


def balanced(labels: Tensor, seed: int, count: int) -> Tensor:
    """The same number of images of each class, `count` in all."""
    generator = torch.Generator().manual_seed(seed)
    classes = int(labels.max()) + 1
    drawn = []
    for each in range(classes):
        mine = torch.nonzero(labels == each)[:, 0]
        drawn.append(mine[torch.randperm(len(mine), generator=generator)[: count // classes]])
    return torch.cat(drawn)


FIRST_200: Draw = partial(first, count=200)
EXPERIMENTS = (
    Experiment("first-200", "the first 200 labels", 5, FIRST_200, features=True),
    Experiment("random-200", "200 labels drawn at random", 5, partial(at_random, count=200)),
    Experiment("balanced-100", "100 labels, 10 a digit", 3, partial(balanced, count=100)),
    Experiment("balanced-50", "50 labels, 5 a digit", 3, partial(balanced, count=50)),
    Experiment("balanced-20", "20 labels, 2 a digit", 3, partial(balanced, count=20)),
    Experiment("balanced-10", "10 labels, 1 a digit", 5, partial(balanced, count=10)),
    Experiment(
        "article",
        "the first 200 labels, the article's network in place of ours",
        3,
        FIRST_200,
        article_classifier,
        ARTICLE_FINETUNE,
    ),
    Experiment("supervised", "the first 200 labels and nothing else", 3, FIRST_200, supervised=True),
)


def find_experiment(name: str) -> Experiment:
    """The experiment called so. Raises SystemExit with a message that lists the names."""
    for experiment in EXPERIMENTS:
        if experiment.name == name:
            return experiment
    names = ", ".join(experiment.name for experiment in EXPERIMENTS)
    raise SystemExit(f"error: there is no experiment {name}; there are {names}")
