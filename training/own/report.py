"""Pictures of a training on a person's own images: contact sheet by class, doubts, mistakes, map, curves."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from sklearn.metrics import confusion_matrix

from models.names import shown
from models.selection import doubtful
from training.data.dataset import UNLABELLED
from training.own.made import Made
from training.own.settings import OwnSettings
from training.report import DPI, MAP_POINTS, curves

plt.rcParams["text.parse_math"] = False  # names may hold a dollar sign
SHEET_CLASSES, SHEET_COLUMNS = 40, 12
"""Most classes and pictures of each on the contact sheet."""
MOST = 48
"""Most doubted labels, and mistakes, that are shown."""


def draw(folder: Path, made: Made, settings: OwnSettings) -> None:
    """Writes all pictures into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    if settings.serve == "student":
        views(folder / "views.png", made, settings)
    if made.served.history:
        curves(folder / "curves.png", made.served.history)
    contact_sheet(folder / "classes.png", made)
    doubted(folder / "doubted.png", made)
    if len(made.pictures.test):
        mistakes(folder / "mistakes.png", made)
        confusion(folder / "confusion.png", made)
    embedding_map(folder / "embeddings.png", made)


def views(path: Path, made: Made, settings: OwnSettings) -> None:
    """Images above three random views of each, as the student saw them."""
    generator = torch.Generator().manual_seed(0)
    chosen = torch.from_numpy(made.pictures.training[:: max(1, len(made.pictures.training) // 10)][:10])
    images = made.candidate.images[chosen]
    rows = [images, *(settings.student.views.apply(images, generator) for _ in range(3))]
    figure, axes = plt.subplots(4, len(images), figsize=(len(images), 4.2), layout="constrained", squeeze=False)
    for row, batch in enumerate(rows):
        for axis, image in zip(axes[row], batch, strict=True):
            show(axis, image)
    save(figure, path)


def contact_sheet(path: Path, made: Made) -> None:
    """For each class pictures that have its label, framed, then unlabelled ones that the model is surest of."""
    labels, names = made.pictures.labels, made.pictures.class_names[:SHEET_CLASSES]
    unlabelled = made.pictures.training[labels[made.pictures.training] == UNLABELLED]
    figure, axes = grid(len(names), SHEET_COLUMNS)
    for row, name in enumerate(names):
        given = made.pictures.training[labels[made.pictures.training] == row][: SHEET_COLUMNS // 2]
        guessed = unlabelled[made.served.answers.predicted[unlabelled] == row]
        guessed = guessed[np.argsort(-made.served.answers.probabilities[guessed, row], kind="stable")]
        chosen = [*given, *guessed][:SHEET_COLUMNS]
        for column, place in enumerate(chosen):
            show(axes[row][column], made.candidate.images[place])
            if column < len(given):
                axes[row][column].patch.set(edgecolor="tab:green", linewidth=4)
                axes[row][column].set_axis_on()
        axes[row][0].set_title(f"{shown(name)[:40]}", fontsize=8, loc="left")
    save(figure, path)


def doubted(path: Path, made: Made) -> None:
    """Labels that the other labels contradict, surest first: the given class → what its fold was taken for."""
    scores = made.candidate.soft.chosen
    known = made.pictures.training[made.pictures.labels[made.pictures.training] != UNLABELLED]
    assert scores.probabilities is not None
    wrong = doubtful(scores.labels, scores.probabilities)
    captions = [_caption(made, scores.labels[case], scores.answers[case]) for case in wrong[:MOST]]
    _tiles(path, made, known[wrong[:MOST]], captions)


def mistakes(path: Path, made: Made) -> None:
    """Test pictures named wrong, most confident first: true class → predicted one, and its probability."""
    truth, predicted = made.pictures.labels[made.pictures.test], made.served.answers.predicted[made.pictures.test]
    confidence = made.served.answers.probabilities[made.pictures.test].max(axis=1)
    wrong = np.flatnonzero(truth != predicted)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST]
    captions = [f"{_caption(made, truth[case], predicted[case])}\n{confidence[case]:.0%}" for case in wrong]
    _tiles(path, made, made.pictures.test[wrong], captions)


def confusion(path: Path, made: Made) -> None:
    """Shares of each true class (rows) that are named so (columns), on the test split."""
    names = [shown(name)[:20] for name in made.pictures.class_names]
    truth = made.pictures.labels[made.pictures.test]
    matrix = confusion_matrix(truth, made.served.answers.predicted[made.pictures.test], labels=range(len(names)))
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
    size = min(4 + 0.3 * len(names), 20)
    figure, axis = plt.subplots(figsize=(size, size), layout="constrained")
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= SHEET_CLASSES:
        axis.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axis.set_yticks(range(len(names)), names, fontsize=7)
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axis.text(column, row, str(count), ha="center", va="center", fontsize=6, color=colour)
    axis.set(xlabel="predicted", ylabel="true", title=f"{len(truth):,} test images")
    save(figure, path)


def embedding_map(path: Path, made: Made) -> None:
    """t-SNE (van der Maaten & Hinton 2008) of embeddings, coloured by class: labels as crosses, guesses as dots."""
    places = made.pictures.training[np.random.default_rng(0).permutation(len(made.pictures.training))[:MAP_POINTS]]
    points = TSNE(metric="cosine", random_state=0, perplexity=min(30, (len(places) - 1) / 3)).fit_transform(
        made.served.answers.embedding[places]
    )
    given = made.pictures.labels[places] != UNLABELLED
    classes = np.where(given, made.pictures.labels[places], made.served.answers.predicted[places])
    figure, axis = plt.subplots(figsize=(8, 7), layout="constrained")
    colours = plt.get_cmap("tab20")(np.arange(len(made.pictures.class_names)) % 20)
    for index, name in enumerate(made.pictures.class_names):
        dots, crosses = points[(classes == index) & ~given], points[(classes == index) & given]
        axis.scatter(dots[:, 0], dots[:, 1], s=6, color=colours[index], label=shown(name)[:30].lstrip("_"))
        axis.scatter(crosses[:, 0], crosses[:, 1], s=40, color=colours[index], marker="x")
    axis.set(xticks=[], yticks=[], title=f"t-SNE of {len(points):,} embeddings; crosses have a label")
    if len(made.pictures.class_names) <= SHEET_CLASSES:
        axis.legend(markerscale=3, fontsize=7)
    save(figure, path)


def _caption(made: Made, truth: int, answer: int) -> str:
    names = made.pictures.class_names
    return f"{shown(names[truth])[:16]} →\n{shown(names[answer])[:16]}"


def _tiles(path: Path, made: Made, places: NDArray[np.int64], captions: Sequence[str]) -> None:
    figure, axes = grid(max(1, math.ceil(len(places) / SHEET_COLUMNS)), SHEET_COLUMNS, height=1.5)
    for axis, place, caption in zip(axes.flat, places, captions, strict=False):
        show(axis, made.candidate.images[place])
        axis.set_title(caption, fontsize=6)
    save(figure, path)


def grid(rows: int, columns: int, height: float = 1.2) -> "tuple[Figure, Any]":
    """A figure of so many rows and columns without axes, to be filled in part."""
    figure, axes = plt.subplots(rows, columns, figsize=(columns, height * rows), layout="constrained", squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    return figure, axes


def show(axis: Axes, image: torch.Tensor | NDArray[np.uint8]) -> None:
    """Draws (channels, height, width), or (height, width[, 3]) where it is an array, uint8."""
    pixels = (
        image.permute(1, 2, 0).cpu().numpy().squeeze(-1 if len(image) == 1 else ())
        if isinstance(image, torch.Tensor)
        else image
    )
    axis.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    axis.set(xticks=[], yticks=[])


def save(figure: Figure, path: Path) -> None:
    """Writes the figure and forgets it."""
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(figure)
