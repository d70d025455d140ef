"""What training made of a person's own images: all that a bundle is written of."""

from dataclasses import dataclass
from typing import Any

from models.manifest import InputSpec
from training.export import Answers
from training.loop import History
from training.own.candidates import Candidate
from training.own.pictures import Pictures
from training.soft_labels import Predicted


@dataclass(frozen=True)
class Served:
    """The network that goes into the bundle."""

    spec: InputSpec
    """What it sees."""
    answers: Answers
    """Its own to every picture, by onnxruntime."""
    network: dict[str, Any]
    """As the manifest tells it."""
    fold: Predicted | None
    """What labels were taken for that it had not seen; None where there is a test set."""
    history: dict[str, History]
    temperature: float | None
    """What its logits were divided by, so that probabilities are right on average; None where labels are too few."""


@dataclass(frozen=True)
class Made:
    """Pictures, and what training made of them."""

    pictures: Pictures
    candidate: Candidate
    """Images, features and soft labels."""
    served: Served
    encoder_tested: Predicted | None = None
    """What the encoder with a linear head takes the test images for, where the student is served."""
    costs_ms: tuple[float, ...] = ()
    """Milliseconds that a picture takes on one core: of the served network, and of the encoder where it was tested."""

    @property
    def cases(self) -> Predicted:
        """What the figures are about: the test split, or else labels that the network had not seen."""
        test = self.pictures.test
        return self.served.fold or Predicted(self.pictures.labels[test], self.served.answers.predicted[test])
