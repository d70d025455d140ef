"""Pictures of a training run: views, curves, confusion matrix, mistakes and a map of embeddings. Decides nothing."""

import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from sklearn.metrics import confusion_matrix
from torch import Tensor

from models.manifest import Metric
from training.data.dataset import Dataset
from training.evaluate import accuracy
from training.export import Answers
from training.loop import History
from training.views import Views

DPI = 110
MAP_POINTS = 2000
"""How many embeddings the map shows: more make t-SNE slow and the picture no clearer."""


def draw(
    folder: Path, views: Views, data: Dataset, history: dict[str, History], test: Dataset, answers: Answers
) -> None:
    """Writes all pictures into `folder`; `answers` are the exported model's to the test images."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = test.labels.numpy()
    matrix = confusion_matrix(labels, answers.predicted, labels=range(len(test.class_names)))
    view_pairs(folder / "views.png", data.images, views)
    curves(folder / "curves.png", history)
    confusion(folder / "confusion.png", matrix, test.class_names, accuracy(answers.predicted, labels))
    mistakes(folder / "mistakes.png", test, answers.probabilities)
    embedding_map(folder / "embeddings.png", test, answers.embedding)


def view_pairs(path: Path, images: Tensor, settings: Views) -> None:
    """Images above two random views of each: the positive pairs of contrastive learning."""
    generator = torch.Generator(device=images.device).manual_seed(0)
    shown = images[:10]
    rows = [shown, *(settings.apply(shown, generator) for _ in range(2))]
    figure, axes = plt.subplots(3, len(shown), figsize=(len(shown), 3.2), layout="constrained")
    for row, (name, batch) in enumerate(zip(("image", "view 0", "view 1"), rows, strict=True)):
        for column, axis in enumerate(axes[row]):
            axis.imshow(batch[column, 0].cpu().numpy(), cmap="gray", vmin=0, vmax=255)
            axis.set(xticks=[], yticks=[])
        axes[row][0].set_ylabel(name)
    _save(figure, path)


def curves(path: Path, stages: dict[str, History]) -> None:
    """Loss (each step, and smoothed) and learning rate of every stage, side by side."""
    figure, axes = plt.subplots(2, len(stages), figsize=(4.2 * len(stages), 5), layout="constrained", squeeze=False)
    for column, (name, history) in enumerate(stages.items()):
        loss, rate = axes[0][column], axes[1][column]
        loss.plot(history.loss, color="tab:blue", alpha=0.3, linewidth=0.6, label="each step")
        loss.plot(_smoothed(history.loss), color="tab:blue", label="mean of the last 25")
        loss.set(title=name, ylabel="loss")
        loss.legend()
        rate.plot(history.learning_rate, color="tab:orange")
        rate.set(xlabel="step", ylabel="learning rate")
    _save(figure, path)


def _smoothed(values: list[float], window: int = 25) -> NDArray[np.float64]:
    sums = np.convolve(values, np.ones(window))[: len(values)]
    return np.asarray(sums / np.arange(1, len(values) + 1).clip(max=window), np.float64)


def confusion(path: Path, matrix: NDArray[np.int64], names: tuple[str, ...], accuracy: Metric) -> None:
    """The confusion matrix with its counts; colour shows the errors alone, which are few beside the diagonal."""
    errors = matrix.astype(float)
    np.fill_diagonal(errors, np.nan)
    figure, axis = plt.subplots(figsize=(6.4, 6), layout="constrained")
    shading = axis.imshow(errors, cmap="Reds", vmin=0)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            dark = row != column and count > np.nanmax(errors) / 2
            axis.text(column, row, str(count), ha="center", va="center", fontsize=8, color="white" if dark else "black")
    axis.set(xlabel="predicted", ylabel="true")
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names)
    interval = f"95 % interval {accuracy.low:.2%} to {accuracy.high:.2%}"
    axis.set_title(f"{accuracy.value:.2%} of {accuracy.n:,} test images right ({interval})", fontsize=9)
    figure.colorbar(shading, label="wrong answers", shrink=0.8)
    _save(figure, path)


def mistakes(path: Path, test: Dataset, probabilities: NDArray[np.float32]) -> None:
    """The test images named wrong, the 150 most confident first: true class → predicted one, and its probability."""
    predicted, labels = probabilities.argmax(axis=1), test.labels.numpy()
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:150]
    rows = max(1, math.ceil(len(wrong) / 15))
    figure, axes = plt.subplots(rows, 15, figsize=(15, 1.25 * rows), layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for axis, index in zip(axes.flat, wrong, strict=False):
        axis.imshow(test.images[index, 0].numpy(), cmap="gray", vmin=0, vmax=255)
        truth, guess = test.class_names[labels[index]], test.class_names[predicted[index]]
        axis.set_title(f"{truth} → {guess}\n{probabilities[index].max():.0%}", fontsize=7)
    _save(figure, path)


def embedding_map(path: Path, test: Dataset, embeddings: NDArray[np.float32]) -> None:
    """t-SNE (van der Maaten & Hinton 2008) of the first MAP_POINTS embeddings, coloured by true class."""
    shown, classes = embeddings[:MAP_POINTS], test.labels[:MAP_POINTS].numpy()
    points = TSNE(metric="cosine", random_state=0).fit_transform(shown)
    figure, axis = plt.subplots(figsize=(7, 6.4), layout="constrained")
    for index, name in enumerate(test.class_names):
        x, y = points[classes == index].T
        axis.scatter(x, y, s=6, label=name)
    axis.set(xticks=[], yticks=[], title=f"t-SNE of {len(shown):,} test embeddings, coloured by true class")
    axis.legend(markerscale=3)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(figure)
