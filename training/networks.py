"""The networks: backbone, heads, and the model as it is served. Knows nothing about training."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, int, int]
"""Channels, height and width of one image."""
Widths = tuple[int, int, int]
"""Channels of a backbone's three convolutions, or of its three stages."""
STEM_SIDE = 32
"""Largest side of a `PictureBackbone`'s maps."""


class FeatureExtractor(Protocol):
    """What the classifier, the novelty head and the exported graph need of a backbone, in two steps."""

    dim: int
    """Numbers in the features of one image."""

    def maps(self, images: Tensor, /) -> Tensor:
        """(n, channels, height, width) uint8 → the last feature maps, flat: (n, maps) float32."""

    def features(self, maps: Tensor, /) -> Tensor:
        """(n, maps) → (n, dim) float32, what the classifier head reads; its direction is the embedding."""


class Preprocess(nn.Module):
    """uint8 image → float in [-0.5, 0.5]: the only place where pixels are scaled, exported with the network."""

    def forward(self, images: Tensor) -> Tensor:
        return images.float() / 255.0 - 0.5


def _block(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, pooling: int = 1) -> list[nn.Module]:
    """Pooling comes before normalisation, which then has a quarter of the numbers to go over."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    pool = [nn.MaxPool2d(pooling)] if pooling > 1 else []
    return [convolution, *pool, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class Backbone(nn.Module):
    """A small convolutional network, a `FeatureExtractor`: (n, channels, height, width) uint8 → (n, `dim`) float32.

    The stem halves the image at once: at full resolution most multiply-adds would be spent there.

    Args:
        shape: of the images; at least 7 pixels a side.
    """

    def __init__(self, shape: Shape, widths: Widths, dim: int = 64) -> None:
        super().__init__()
        channels, height, width = shape
        first, second, third = widths
        self.dim = dim
        self.maps = nn.Sequential(
            Preprocess(),
            *_block(channels, first, kernel=5, stride=2),  # (n, first, ⌈height / 2⌉, ⌈width / 2⌉)
            *_block(first, second, pooling=2),
            *_block(second, third, pooling=2),  # (n, third, rows, columns); an odd last row or column is dropped
            nn.Flatten(),
        )
        rows, columns = (height + 1) // 2 // 4, (width + 1) // 2 // 4
        self.layers = nn.Sequential(
            nn.Linear(third * rows * columns, dim, bias=False), nn.BatchNorm1d(dim), nn.ReLU(inplace=True)
        )

    def features(self, maps: Tensor) -> Tensor:
        """(n, maps) → (n, `dim`) float32."""
        features: Tensor = self.layers(maps)
        return features

    def forward(self, images: Tensor) -> Tensor:
        return self.features(self.maps(images))


class PictureBackbone(nn.Module):
    """A small convolutional network for pictures of anything, a `FeatureExtractor`.

    The stem's stride brings pictures of any size to maps of at most 32×32, so that larger pictures cost little more;
    residual layers (He et al. 2016, arXiv:1512.03385).

    Args:
        shape: of the images; at least 16 pixels a side.
    """

    def __init__(self, shape: Shape, widths: Widths) -> None:
        super().__init__()
        channels, height, width = shape
        first, second, third = widths
        self.dim = third
        stride = -(-min(height, width) // STEM_SIDE)
        rows, columns = ((-(-side // stride) // 2 + 1) // 2 for side in (height, width))
        self._positions = rows * columns
        self.layers = nn.Sequential(
            Preprocess(),
            *_block(channels, first, kernel=3 if stride == 1 else 2 * stride + 1, stride=stride, pooling=2),
            *_block(first, second),
            Residual(*_block(second, second)),
            *_block(second, third, stride=2),
            Residual(*_block(third, third)),
        )

    def maps(self, images: Tensor) -> Tensor:
        """(n, channels, height, width) uint8 → (n, third * rows * columns) float32."""
        maps: Tensor = self.layers(images)
        return maps.flatten(1)

    def features(self, maps: Tensor) -> Tensor:
        """(n, maps) → (n, `dim`) float32: the mean over rows and columns."""
        return maps.view(-1, self.dim, self._positions).mean(dim=2)

    def forward(self, images: Tensor) -> Tensor:
        return self.features(self.maps(images))


class Residual(nn.Sequential):
    """Layers whose output is added to their input."""

    def forward(self, maps: Tensor) -> Tensor:
        added: Tensor = super().forward(maps)  # type: ignore[no-untyped-call]
        return maps + added


AnyBackbone = Backbone | PictureBackbone
"""What can be pretrained."""


class ProjectionHead(nn.Sequential):
    """SimCLR's g(·): features → the vectors that the contrastive loss compares; discarded after pretraining."""

    def __init__(self, features: int, hidden: int = 256, outputs: int = 64) -> None:
        first, second = nn.Linear(features, hidden, bias=False), nn.Linear(hidden, outputs)
        super().__init__(first, nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), second)


class Classifier(nn.Module):
    """Backbone and classifier head: (n, channels, height, width) uint8 → logits (n, classes) float."""

    def __init__(self, backbone: FeatureExtractor, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone.features(self.backbone.maps(images)))
        return logits


def new_classifier(shape: Shape, widths: Widths, classes: int) -> Classifier:
    """A `Backbone` under a linear classifier head, with random weights."""
    backbone = Backbone(shape, widths)
    return Classifier(backbone, nn.Linear(backbone.dim, classes))


class NoveltyHead(nn.Module):
    """The backbone's last maps → how likely an image shows none of the classes' objects, from 0 to 1.

    Args:
        maps: numbers in an image's maps. hidden: hidden units. generator: of the initial weights.
    """

    def __init__(self, maps: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = nn.Linear(maps, hidden, device="meta").to_empty(device="cpu")  # draws no random numbers
        self.weights = nn.Parameter(torch.empty(hidden))
        nn.init.kaiming_uniform_(self.hidden.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(self.hidden.bias)
        nn.init.normal_(self.weights, std=hidden**-0.5, generator=generator)

    def log_odds(self, maps: Tensor) -> Tensor:
        """(n, maps) → (n,) float32; without a bias, which would add a node to the served graph."""
        return F.relu(self.hidden(maps)) @ self.weights

    def forward(self, maps: Tensor, _embedding: Tensor | None = None) -> Tensor:
        """(n, maps) → (n,) float32 in [0, 1]."""
        return self.log_odds(maps).sigmoid()


class NeighbourNovelty(nn.Module):
    """How far an image is from all that are known: half of one minus the cosine to the k-th nearest of a bank.

    Sun et al. 2022 (arXiv:2204.06507), with cosines.

    Args:
        bank: (m, dim) float32 unit vectors; the farthest counts where there are fewer than `k`.
    """

    def __init__(self, bank: Tensor, k: int = 5) -> None:
        super().__init__()
        self.bank: Tensor = nn.Buffer(bank.T.contiguous())
        self.k = min(k, len(bank))

    def forward(self, _maps: Tensor, embedding: Tensor) -> Tensor:
        """(n, dim) unit vectors → (n,) float32 in [0, 1]."""
        cosines = (embedding @ self.bank).topk(self.k, dim=1).values[:, -1]
        return (0.5 - cosines / 2).clamp(0, 1)


class ServedModel(nn.Module):
    """What is exported: uint8 images → float32 logits, probabilities, unit-norm embedding and novelty."""

    def __init__(self, classifier: Classifier, novelty: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier
        self.novelty = novelty

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(n, channels, height, width) uint8 → logits, probabilities (n, classes), embedding (n, dim), novelty (n,)."""
        maps = self.classifier.backbone.maps(image)
        features = self.classifier.backbone.features(maps)
        logits = self.classifier.head(features)
        probabilities = logits.softmax(dim=1)
        # 1e-6 rather than the default 1e-12, which is 0 in float16: a blank image's features may all be 0.
        embedding = F.normalize(features, dim=1, eps=1e-6)
        return logits, probabilities, embedding, self.novelty(maps, embedding)


def count_parameters(module: nn.Module) -> int:
    """Trainable numbers in `module`."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def select_device() -> torch.device:
    """The GPU when there is one, the CPU otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
