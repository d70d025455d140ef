"""Figures of a trained bundle beside what costs nothing: logistic regression on the encoder, and novelty's areas."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from models.manifest import MODEL, Manifest
from models.names import shown
from models.pictures.preparation import as_input
from training.data.collection import collect
from training.data.dataset import UNLABELLED
from training.data.errors import DataError
from training.data.scan import scan
from training.encoders import Encoder
from training.own.features import encoded
from training.own.pictures import Pictures
from training.soft_labels import Predicted, unit

MOST = 1000
"""Foreign pictures of each kind, at most."""
BATCH_SIZE = 32
STRENGTH, ITERATIONS = 10.0, 500
"""Of the logistic regression: scikit-learn's C, and the most steps of its solver."""


def regression(pictures: Pictures, encoder: Encoder, resize: str) -> Predicted:
    """What scikit-learn's logistic regression on frozen features takes the test split for.

    It is fitted to the given labels alone; unlabelled pictures tell it the mean of the features. Classes are weighted
    only where their numbers of labels differ.
    """
    training, test, labels = pictures.training, pictures.test, pictures.labels
    features = encoded(pictures, encoder, resize, range(len(pictures)))  # (n, dim) float32
    features = unit(features - features[training].mean(axis=0))
    known = training[labels[training] != UNLABELLED]
    equal = len(set(np.bincount(labels[known]).tolist())) == 1
    model = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS, class_weight=None if equal else "balanced")
    model.fit(features[known], labels[known])
    return Predicted(labels[test], np.asarray(model.predict(features[test]), np.int64))


@dataclass(frozen=True)
class Foreign:
    """Pictures that are of none of the classes."""

    name: str
    """As the table calls them."""
    pictures: Pictures
    places: NDArray[np.int64]
    """Those that are looked at."""

    @property
    def digests(self) -> list[str]:
        """SHA-256 of each, hexadecimal."""
        good = self.pictures.good
        return [good[place].digest.hex() for place in self.places]


def foreign(name: str, pictures: Pictures, places: NDArray[np.int64], seed: int) -> Foreign:
    """At most `MOST` of the pictures at `places`, drawn at random."""
    return Foreign(name, pictures, np.sort(np.random.default_rng(seed).permutation(places)[:MOST]))


def foreign_folder(folder: Path, cache: Path, seed: int) -> Foreign:
    """Pictures of a folder, a zip or around a table, whatever their labels; raises DataError where there are none."""
    collection = collect(folder, labels_needed=False)
    pictures = Pictures(collection, scan(collection, cache), cache)
    if not len(pictures):
        raise DataError(f"{shown(str(folder))}: none of its pictures can be read")
    return foreign(f"pictures of {folder.resolve().name}", pictures, np.arange(len(pictures)), seed)


def novelty_scores(bundle: Path, manifest: Manifest, own: Pictures, others: Sequence[Foreign]) -> dict[str, object]:
    """Share of the test split that is refused; of each kind of foreign pictures the same, and the area under the ROC.

    The area is the probability that a foreign picture gets a higher `novelty` than one of the test split.
    """
    session = onnxruntime.InferenceSession(str(bundle / MODEL), providers=["CPUExecutionProvider"])

    def novelty(pictures: Pictures, places: NDArray[np.int64]) -> NDArray[np.float32]:
        batches = pictures.batches(manifest.input, BATCH_SIZE, places.tolist())
        return np.concatenate([session.run(["novelty"], {"image": as_input(list(pixels))})[0] for _, pixels in batches])

    known = novelty(own, own.test)
    found = [(one.name, novelty(one.pictures, one.places)) for one in others]
    return {
        "refused": _refused(known, manifest),
        "foreign": [
            {
                "name": name,
                "n": len(values),
                "area": float(
                    roc_auc_score(np.repeat([0, 1], [len(known), len(values)]), np.concatenate([known, values]))
                ),
                "refused": _refused(values, manifest),
            }
            for name, values in found
        ],
    }


def _refused(novelty: NDArray[np.float32], manifest: Manifest) -> float:
    return float((novelty > manifest.novelty_threshold).mean())
