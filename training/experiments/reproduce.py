"""The article's three experiments as its public notebook runs them: `make article`.

Quirks kept: pixels from 0 to 255, a softmax before the cross-entropy (which applies another), batches of 64 that cover
only the first 128 of the 200 labelled images, always in the same order, one random transform for a whole batch, and the
ten probabilities as the projection. Left out, since they change no weights: the second forward pass of each step, and
the loss change that each pretraining step makes on its own batch. Computed otherwise, to the same result but for
rounding: channels last in memory, and a batch in pieces that fit a core's cache. The test set is scored after every
100th epoch, not after each, so the maximum here is over 201 scores instead of 20,000.
"""

import json
import sys
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import torch
import tyro
from matplotlib import pyplot as plt
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2
from tqdm import tqdm

from training.data import mnist
from training.data.dataset import Dataset
from training.experiments.article import article_backbone, article_head
from training.experiments.benchmark import RESULTS, replace_between, row
from training.loop import seeded_generator
from training.losses import nt_xent_loss
from training.networks import select_device
from training.provenance import conditions

LOG = Path(__file__).parent / "LOG.md"
MARKERS = "<!-- article -->", "<!-- /article -->"
REPORTED = {"supervised": 52.5, "same head": 59.7, "new head": 63.6}
"""Test accuracy in the article, %."""
SCORE_EVERY = 100
"""Epochs of supervised training between two scores on the test set."""
PIECE = 128
"""Images computed at once: two thirds of the time that 512 take."""


@dataclass(frozen=True)
class ArticleSettings:
    """One run of the article's experiments; the last line on stdout is one JSON document."""

    seed: int = 0
    """Source of all randomness."""
    labels: int = 200
    """How many of the training images keep their label: the first ones."""
    batch_size: int = 64
    """Labelled images a step."""
    epochs: int = 20_000
    """Passes over the labelled images, less the last ones."""
    pretrain_epochs: int = 100
    """Passes over the unlabelled images, at most."""
    pretrain_batch_size: int = 512
    """Unlabelled images a step."""
    data: Path = Path("data")
    """Folder that holds the data set, or receives it."""


@dataclass(frozen=True)
class Outcome:
    """What one supervised training gave."""

    maximum: float
    """Best test accuracy of all scores, as the article reports it: chosen on the test set."""
    last: float
    """Test accuracy after the last epoch."""
    scores: list[float]
    """Test accuracy before the first epoch and after every 100."""


def supervised(model: nn.Module, labelled: Dataset, test: Dataset, settings: ArticleSettings, name: str) -> Outcome:
    """The notebook's `supervised_train`."""
    images, truth = labelled.images.float(), test.labels
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    batches = range(max(1, len(labelled) // settings.batch_size - 1))
    scores = [score(model, test.images, truth)]
    for epoch in tqdm(range(1, settings.epochs + 1), desc=name, unit=" epochs", file=sys.stderr, mininterval=1):
        for batch in batches:
            chosen = slice(batch * settings.batch_size, (batch + 1) * settings.batch_size)
            optimizer.zero_grad()
            F.cross_entropy(model(images[chosen]), labelled.labels[chosen]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if epoch % SCORE_EVERY == 0 or epoch == settings.epochs:
            scores.append(score(model, test.images, truth))
    return Outcome(max(scores), scores[-1], scores)


@torch.no_grad()
def score(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of (n, 1, 28, 28) uint8 images that get their label."""
    right = [model(piece.float()).argmax(dim=1) for piece in torch.split(images, PIECE)]
    return float((torch.cat(right) == labels).float().mean())


def views() -> v2.Compose:
    """The notebook's augmentations; torchvision draws one set of parameters for all that it is given at once."""
    blur = v2.RandomApply([v2.GaussianBlur([3, 3], (0.1, 2.0))], p=0.25)
    return v2.Compose(
        [
            v2.RandomAffine(degrees=[-50, 50], translate=[0.1, 0.1], scale=[0.5, 1.5], shear=[-0.2, 0.2]),
            v2.RandomPerspective(0.4, 0.5),
            v2.RandomPerspective(0.2, 0.5),
            v2.RandomPerspective(0.2, 0.5),
            blur,
            blur,
        ]
    )


def pretrain(model: nn.Module, images: Tensor, settings: ArticleSettings) -> tuple[list[float], list[float]]:
    """Contrastive training; each epoch's mean loss and learning rate. Stops when the loss hardly falls any more."""
    augment, size = views(), settings.pretrain_batch_size
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)
    losses: list[float] = []
    rates: list[float] = []
    patience = 0
    for _ in tqdm(range(settings.pretrain_epochs), desc="pretrain", unit=" epochs", file=sys.stderr):
        total = 0.0
        for start in range(0, len(images) - size + 1, size):
            batch = images[start : start + size].float()
            loss = nt_xent_loss(_in_pieces(model, augment(batch)), _in_pieces(model, augment(batch)), 0.5)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.item())
        rates.append(float(schedule.get_last_lr()[0]))
        losses.append(total / (len(images) // size))
        schedule.step()
        patience = patience + 1 if len(losses) > 1 and losses[-1] > 0.999 * losses[-2] else 0
        if patience > 5:
            break
    return losses, rates


def _in_pieces(model: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([model(piece) for piece in torch.split(images, PIECE)])


def run(settings: ArticleSettings) -> dict[str, Any]:
    """All three experiments: the supervised one, and two fine-tunings of one pretrained backbone."""
    device = select_device()
    full, test = mnist.load(settings.data)
    seeded_generator(settings.seed, device)
    labelled = full.subset(torch.arange(settings.labels)).to(device)
    unlabelled, test = full.images[settings.labels :].to(device), test.to(device)
    classes = len(full.class_names)
    started = time.perf_counter()
    place: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
    baseline = nn.Sequential(article_backbone(), article_head(classes)).to(**place)
    found = {"supervised": supervised(baseline, labelled, test, settings, "supervised")}
    model = nn.Sequential(article_backbone(), article_head(classes)).to(**place)
    losses, rates = pretrain(model, unlabelled, settings)
    fresh = nn.Sequential(deepcopy(model[0]), article_head(classes)).to(**place)
    found["same head"] = supervised(model, labelled, test, settings, "same head")
    found["new head"] = supervised(fresh, labelled, test, settings, "new head")
    return {
        "experiments": {name: vars(outcome) for name, outcome in found.items()},
        "pretrain_loss": losses,
        "pretrain_learning_rate": rates,
        "seed": settings.seed,
        "epochs": settings.epochs,
        "seconds": round(time.perf_counter() - started, 1),
        **conditions(device),
    }


def table(runs: list[dict[str, dict[str, dict[str, float]]]]) -> str:
    """The article's figures beside those of the runs, in Markdown."""
    lines = ["| figure | mean | standard deviation | 95 % interval of the mean | worst | n |", "|---" * 6 + "|"]
    for name, reported in REPORTED.items():
        for kind, title in (
            ("maximum", f"best of all epochs (leaks the test set); the article: {reported} %"),
            ("last", "after the last epoch"),
        ):
            values = [100 * run["experiments"][name][kind] for run in runs]
            lines.append(row(f"{name}, {title}", values, "{:.1f} %", min))
    return "\n".join(lines)


def curves(path: Path, runs: list[dict[str, Any]]) -> None:
    """Contrastive loss by epoch, and test accuracy of the three trainings, a line for each run."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.set(xlabel="epoch", ylabel="NT-Xent", title="pretraining")
    right.set(xlabel="epoch", ylabel="test accuracy", title="200 labels", ylim=(0, 0.7))
    for run in runs:
        left.plot(run["pretrain_loss"], marker=".", label=f"seed {run['seed']}")
        for number, (name, experiment) in enumerate(run["experiments"].items()):
            epochs = [SCORE_EVERY * number for number in range(len(experiment["scores"]))]
            right.plot(epochs, experiment["scores"], f"C{number + 3}", label=name if run is runs[0] else None)
    left.legend()
    right.legend(loc="lower right")
    right.locator_params("x", nbins=4)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    """Runs the experiments with one seed; keeps its file and renews table and picture, unless settings were changed."""
    settings = tyro.cli(ArticleSettings, prog="python -m training.experiments.reproduce")
    result = run(settings)
    if settings == ArticleSettings(seed=settings.seed, data=settings.data):
        keep(settings.seed, result)
    else:
        print("not the article's settings: nothing is kept", file=sys.stderr)
    summary = {name: {kind: one[kind] for kind in ("maximum", "last")} for name, one in result["experiments"].items()}
    print(json.dumps({**summary, "seed": settings.seed, "seconds": result["seconds"], "device": result["device"]}))


def keep(seed: int, result: dict[str, Any]) -> None:
    """Writes the run's file; renews table and picture."""
    folder = RESULTS / "article"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{seed}.json").write_text(json.dumps(result, indent=2) + "\n")
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    replace_between(LOG, MARKERS, table(runs))
    curves(folder / "curves.png", runs)


if __name__ == "__main__":
    main()
