"""All that a bundle of a person's own images is written of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.manifest import InputSpec
from training.export import Answers
from training.loop import History
from training.own.pictures import Pictures
from training.own.pipeline import Features, Trained
from training.soft_labels import Predicted


@dataclass(frozen=True)
class Made:
    """Pictures, and what training made of them."""

    pictures: Pictures
    training: NDArray[np.int64]
    """Places of the images that were trained on."""
    test: NDArray[np.int64]
    """Places of the held-out images whose label is known and can be learnt."""
    spec: InputSpec
    images: Tensor
    """(n, channels, height, width) uint8, of all pictures."""
    features: Features
    trained: Trained
    history: dict[str, History]

    def cases(self, answers: Answers) -> Predicted:
        """What the figures are about: the test split, or else one fold; `answers` are the model's to all images."""
        if self.trained.fold:
            return self.trained.fold
        return Predicted(self.pictures.labels[self.test], answers.predicted[self.test])
