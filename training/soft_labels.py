"""Features of all images and a few labels → class probabilities of every image. Knows no images and no networks.

A linear classifier and label propagation err on different images; the product of both is the default, and the labels
themselves decide, by k-fold, whether one alone is better. Propagated scores are scaled to equal classes, cubed and
scaled to the classes' frequencies: without the middle step the largest class takes everything.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from scipy.stats import chisquare
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from training.data.dataset import UNLABELLED
from training.graph import nearest, normalised_links, spread
from training.pseudo_labels import scale_to

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Method = Literal["product", "regression", "propagation"]
METHODS: tuple[Method, ...] = ("product", "regression", "propagation")
SURE = 1.5
"""Standard errors by which a method must be better than the one before it."""


@dataclass(frozen=True)
class SoftLabelSettings:
    """How a few labels become probabilities of every image."""

    strength: float = 10.0
    """Inverse regularisation of the logistic regression on unit vectors (scikit-learn's C)."""
    fitted: int = 10_000
    """Labels that the logistic regression is fitted to, at most."""
    dimensions: int = 256
    """Principal components of the features in which neighbours are found."""
    neighbours: int = 15
    """Nearest neighbours that each image is linked to."""
    reach: float = 0.99
    """Zhou's alpha in [0, 1): weight of the neighbours' labels against the image's own."""
    rounds: int = 100
    """Propagation iterations."""
    power: float = 3.0
    """Exponent of the propagated scores once they are scaled to equal classes."""
    prior: float = 1.0
    """Dirichlet prior of the classes' frequencies, in labels per class."""
    folds: int = 5
    """Parts that the labels are cut into: each is predicted from the others."""


@dataclass(frozen=True)
class Predicted:
    """What each label's image is taken for where the label itself is hidden."""

    labels: Labels
    """(labels,), the truth."""
    answers: Labels
    """(labels,)"""
    probabilities: Floats | None = None
    """(labels, classes), where they are known."""

    @property
    def accuracy(self) -> float:
        """Share that is right."""
        return float((self.labels == self.answers).mean())

    @property
    def recalls(self) -> NDArray[np.float64]:
        """(classes that occur,): share of each class that is right."""
        right = self.labels == self.answers
        return np.array([right[self.labels == one].mean() for one in np.unique(self.labels)])

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the recalls."""
        return float(self.recalls.mean())

    def balanced_interval(self) -> tuple[float, float]:
        """95 % interval of the balanced accuracy: a mean of shares, each of its own cases (normal approximation)."""
        counts = np.bincount(self.labels)
        counts = counts[counts > 0]
        smoothed = (self.recalls * counts + 1) / (counts + 2)  # a recall of 0 or 1 has an interval too
        reach = 1.96 * float(np.sqrt((smoothed * (1 - smoothed) / counts).sum())) / len(counts)
        return max(0.0, self.balanced_accuracy - reach), min(1.0, self.balanced_accuracy + reach)


class SoftLabeller:
    """Spreads labels over images with these features.

    Args:
        features: (n, dim) float32, more than `settings.neighbours` of them.
        classes: how many there are.
        frequencies: (classes,), of the classes among all images where the user knows them.
        groups: (n,) numbers, the same for copies of one picture, whose labels are hidden together.
    """

    def __init__(
        self,
        features: Floats,
        classes: int,
        settings: SoftLabelSettings,
        frequencies: Floats | None = None,
        groups: Labels | None = None,
    ) -> None:
        self._groups = np.arange(len(features)) if groups is None else groups
        self._classes, self._settings, self._frequencies = classes, settings, frequencies
        self._features = features - features.mean(axis=0)
        self._unit = unit(self._features)

    @cached_property
    def _links(self) -> scipy.sparse.csr_array:
        z = unit(half_whitened(self._features, self._settings.dimensions))
        return normalised_links(*nearest(torch.from_numpy(z), min(self._settings.neighbours, len(z) - 1)))

    def regression(self, labels: Labels) -> Floats:
        """(n, classes), rows sum to 1, as if all classes were equally frequent."""
        known = np.flatnonzero(labels != UNLABELLED)
        if len(known) > self._settings.fitted:
            known = spread_out(known, labels[known], self._settings.fitted)
        model = LogisticRegression(C=self._settings.strength, class_weight="balanced", max_iter=500)
        model.fit(self._unit[known], labels[known])
        probabilities = np.zeros((len(labels), self._classes), np.float32)
        probabilities[:, model.classes_] = model.predict_proba(self._unit)
        return probabilities

    def propagation(self, labels: Labels) -> Floats:
        """(n, classes), rows sum to 1, scaled to equal frequencies of the classes that have labels."""
        given = np.zeros((len(labels), self._classes), np.float32)
        known = np.flatnonzero(labels != UNLABELLED)
        given[known, labels[known]] = 1
        present = given.any(axis=0)
        scores = spread(self._links, given, self._settings.reach, self._settings.rounds)
        scores[:, present] = scale_to(scores[:, present], np.full(present.sum(), 1 / present.sum(), np.float32))
        return scores

    def spread(self, labels: Labels, methods: Sequence[Method] = METHODS) -> dict[Method, Floats]:
        """By each method the probabilities of every image, (n, classes); rows of labelled images are their labels.

        Args:
            labels: (n,) class indices, or UNLABELLED.
        """
        regression = self.regression(labels)
        frequencies = self.frequencies(labels, regression)
        found: dict[Method, Floats] = {}
        if "regression" in methods:
            found["regression"] = _normalised(regression * frequencies)
        if set(methods) - {"regression"}:
            sharp = _normalised(self.propagation(labels) ** self._settings.power)
            present = frequencies > 0
            scaled = np.zeros_like(sharp)
            scaled[:, present] = scale_to(sharp[:, present], frequencies[present])
            found["propagation"] = scaled
            found["product"] = _normalised(np.maximum(regression, 1e-6) * np.maximum(scaled, 1e-6))
        known = labels != UNLABELLED
        for probabilities in found.values():
            probabilities[known] = np.eye(self._classes, dtype=np.float32)[labels[known]]
        return {method: found[method] for method in methods}

    def frequencies(self, labels: Labels, regression: Floats) -> Floats:
        """Estimated frequencies of the classes among all images: (classes,) float32, sums to 1; 0 without a label.

        Labels whose counts are far from equal were drawn as they came, and tell the frequencies themselves. Labels
        whose counts are about equal may have been chosen so, and tell nothing: then the classifier's answers do.
        """
        if self._frequencies is not None:
            return self._frequencies
        counts = np.bincount(labels[labels != UNLABELLED], minlength=self._classes)
        present = counts > 0
        if chisquare(counts[present]).pvalue < 0.05:
            estimate = counts + self._settings.prior
        else:
            estimate = regression.mean(axis=0) * counts.sum() + self._settings.prior
        estimate = np.where(present, estimate, 0)
        return np.asarray(estimate / estimate.sum(), np.float32)

    def cuts(self, labels: Labels) -> Iterator[tuple[Labels, Labels]]:
        """For each fold of the labels its places, and the labels without it: (n,).

        A fold is left out where one class at most would be left to learn from.
        """
        known = np.flatnonzero(labels != UNLABELLED)
        for fold in folds(labels[known], self._settings.folds, self._groups[known]):
            shown = labels.copy()
            shown[known[fold]] = UNLABELLED
            if len(np.unique(shown[shown != UNLABELLED])) > 1:
                yield np.sort(known[fold]), shown

    def hidden(self, labels: Labels, methods: Sequence[Method] = METHODS) -> dict[Method, Predicted]:
        """By each method what each label's image is taken for where its fold's labels are hidden from everything."""
        known = np.flatnonzero(labels != UNLABELLED)
        rows = {method: np.full((len(known), self._classes), 1 / self._classes, np.float32) for method in methods}
        for fold, shown in self.cuts(labels):
            for method, probabilities in self.spread(shown, methods).items():
                rows[method][np.searchsorted(known, fold)] = probabilities[fold]
        return {method: Predicted(labels[known], found.argmax(axis=1), found) for method, found in rows.items()}


def folds(labels: Labels, count: int, groups: Labels) -> list[NDArray[np.int64]]:
    """Parts of (labels,), as indices, with about the same share of each class in each.

    Labels of one group, (labels,) numbers, stay together: what is known of one copy of a picture tells all others.
    """
    count = min(count, len(np.unique(groups)))
    if count < 2:
        return [np.arange(len(labels))]
    largest = int(np.bincount(labels).max(initial=0))
    cut: GroupKFold | StratifiedGroupKFold = GroupKFold(count, shuffle=True, random_state=0)
    if largest >= count:
        cut = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    with warnings.catch_warnings(action="ignore"):  # a class of few labels is in few parts: told by the check
        return [part for _, part in cut.split(np.zeros(len(labels)), labels, groups)]


def spread_out(places: Labels, labels: Labels, count: int) -> Labels:
    """`count` of the places or a few more, drawn at random, of each class its share or at least an equal part."""
    random = np.random.default_rng(0)
    equal, drawn = count // (int(labels.max()) + 1), []
    for one in np.unique(labels):
        own = random.permutation(places[labels == one])
        drawn.append(own[: max(equal, round(count * len(own) / len(places)))])
    return np.sort(np.concatenate(drawn))


def chosen_method(scores: dict[Method, Predicted]) -> Method:
    """The product, unless another is better by more than `SURE` standard errors of the difference; so on from there."""
    best: Method = METHODS[0]
    for method in METHODS[1:]:
        gained = (scores[method].labels == scores[method].answers).astype(float)
        gained -= scores[best].labels == scores[best].answers
        if gained.mean() > SURE * gained.std() / np.sqrt(len(gained)):
            best = method
    return best


def unit(vectors: Floats) -> Floats:
    """(n, dim) → the same directions with unit norm."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12), np.float32)


def half_whitened(centred: Floats, dimensions: int) -> Floats:
    """(n, dim) of mean 0 → (n, `dimensions` or fewer): principal components, each over the root of its deviation.

    Half way to whitening: without it the leading components dominate the cosine, with all of it the last ones' noise.
    """
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))  # ascending
    kept = variances[-dimensions:].clip(1e-8)
    return np.asarray(centred @ directions[:, -dimensions:] / kept**0.25, np.float32)


def _normalised(scores: Floats) -> Floats:
    return np.asarray(scores / scores.sum(axis=1, keepdims=True).clip(1e-12), np.float32)
