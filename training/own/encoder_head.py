"""The encoder itself as the served network: a linear head, fitted to soft labels of all images, in one ONNX file."""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from training.encoders import Encoder
from training.export import Answers
from training.graphs import FEATURES, graph_of, on_top
from training.networks import NeighbourNovelty

Floats = NDArray[np.float32]
ITERATIONS = 60
"""Of L-BFGS; the loss hardly moves any more."""
BATCH_SIZE = 500


class EncoderHead(nn.Module):
    """Features → what a bundle answers.

    Args:
        mean: (dim,) of the training images' features. weight: (classes, dim). bias: (classes,).
        bank: (m, dim) unit vectors that novelty is measured by.
    """

    def __init__(self, mean: Tensor, weight: Tensor, bias: Tensor, bank: Tensor) -> None:
        super().__init__()
        self.mean: Tensor = nn.Buffer(mean)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.novelty = NeighbourNovelty(bank)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(n, dim) → logits, probabilities (n, classes), embedding (n, dim), novelty (n,)."""
        embedding = F.normalize(features - self.mean, dim=1, eps=1e-6)
        logits = embedding @ self.weight.T + self.bias
        return logits, logits.softmax(dim=1), embedding, self.novelty(features, embedding)


def fit_head(features: Floats, targets: Floats, strength: float, bank: NDArray[np.int64]) -> EncoderHead:
    """Multinomial logistic regression on soft labels.

    Args:
        features: (n, dim). targets: (n, classes), rows sum to 1. strength: inverse regularisation, as scikit-learn's C.
        bank: indices of the images that novelty is measured by.
    """
    mean = torch.from_numpy(features.mean(axis=0))
    unit = F.normalize(torch.from_numpy(features) - mean, dim=1, eps=1e-6)
    soft = torch.from_numpy(targets)
    weight = torch.zeros(targets.shape[1], features.shape[1], requires_grad=True)
    bias = torch.zeros(targets.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(unit @ weight.T + bias, soft) + weight.square().sum() / (2 * strength * len(unit))
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return EncoderHead(mean, weight.detach(), bias.detach(), unit[torch.from_numpy(bank)]).eval()


@torch.no_grad()
def answers_by(head: EncoderHead, features: Floats) -> Answers:
    """What a head answers to (n, dim) features."""
    parts = [head(batch) for batch in torch.split(torch.from_numpy(features), BATCH_SIZE)]
    return Answers(*(torch.cat(part).numpy() for part in zip(*parts, strict=True)))


def with_head(encoder: Encoder, head: EncoderHead, dim: int) -> onnx.ModelProto:
    """The graph of a bundle: uint8 images → `Answers`."""
    above = graph_of(head, (dim,), Answers._fields, FEATURES, torch.float32)
    return on_top(onnx.load(encoder.path), above)
