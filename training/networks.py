"""The networks: backbone, the two heads, and the model as it is served. Knows nothing about training."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TEACHER_WIDTHS = (16, 32, 48)
"""Channels of the network that learns from images and few labels: about 1.69 million multiply-adds an image."""
STUDENT_WIDTHS = (16, 16, 32)
"""Channels of the network that is served: about 0.77 million. Multiples of 8 are what a CPU's vectors hold: onnxruntime
answers 12, 22 and 44 channels half as fast."""


class Preprocess(nn.Module):
    """uint8 image → float in [-0.5, 0.5]: the only place where pixels are scaled, exported with the network."""

    def forward(self, images: Tensor) -> Tensor:
        return images.float() / 255.0 - 0.5


def _block(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class Backbone(nn.Module):
    """A small convolutional network: (n, 1, 28, 28) uint8 → (n, `features`) float32.

    The stem halves the image at once, which is where the multiply-adds would otherwise be.
    """

    def __init__(self, widths: tuple[int, int, int] = STUDENT_WIDTHS, features: int = 64) -> None:
        super().__init__()
        first, second, third = widths
        self.features = features
        self.maps = nn.Sequential(
            Preprocess(),
            *_block(1, first, kernel=5, stride=2),  # (n, first, 14, 14)
            *_block(first, second),
            nn.MaxPool2d(2),  # (n, second, 7, 7)
            *_block(second, third),
            nn.MaxPool2d(2),  # (n, third, 3, 3): the last row and column are margin
            nn.Flatten(),
        )
        self.layers = nn.Sequential(
            nn.Linear(third * 9, features, bias=False), nn.BatchNorm1d(features), nn.ReLU(inplace=True)
        )

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(self.maps(images))
        return features


class ProjectionHead(nn.Module):
    """SimCLR's g(·): features → the space where the contrastive loss lives; thrown away after pretraining."""

    def __init__(self, features: int, hidden: int = 256, outputs: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, outputs),
        )

    def forward(self, features: Tensor) -> Tensor:
        projections: Tensor = self.layers(features)
        return projections


class ClassifierHead(nn.Linear):
    """Features → logits."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__(features, classes)


class Classifier(nn.Module):
    """Backbone and classifier head: (n, 1, 28, 28) uint8 → logits (n, classes) float."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits


def served_student(classes: int) -> Classifier:
    """The network that is served, not yet trained."""
    backbone = Backbone(STUDENT_WIDTHS)
    return Classifier(backbone, ClassifierHead(backbone.features, classes))


class NoveltyHead(nn.Module):
    """The backbone's last maps → how surely an image is no digit, from 0 to 1.

    Args:
        maps: numbers in an image's maps. hidden: units in between. generator: of the initial weights.
    """

    def __init__(self, maps: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = nn.Linear(maps, hidden, device="meta").to_empty(device="cpu")  # draws no random numbers
        self.weights = nn.Parameter(torch.empty(hidden))
        nn.init.kaiming_uniform_(self.hidden.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(self.hidden.bias)
        nn.init.normal_(self.weights, std=hidden**-0.5, generator=generator)

    def log_odds(self, maps: Tensor) -> Tensor:
        """(n, maps) → (n,) float32; no bias at the end: it would cost the served graph one more node."""
        return F.relu(self.hidden(maps)) @ self.weights

    def forward(self, maps: Tensor) -> Tensor:
        """(n, maps) → (n,) float32 in [0, 1]."""
        return self.log_odds(maps).sigmoid()


class ServedModel(nn.Module):
    """What is exported: uint8 images → logits, probabilities, the unit-norm embedding and the novelty."""

    def __init__(self, classifier: Classifier, novelty: NoveltyHead) -> None:
        super().__init__()
        self.classifier = classifier
        self.novelty = novelty

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(n, 1, 28, 28) uint8 → float32: logits, probabilities (n, classes), embedding (n, features), novelty (n,)."""
        backbone = self.classifier.backbone
        assert isinstance(backbone, Backbone)
        maps = backbone.maps(image)
        features = backbone.layers(maps)
        logits = self.classifier.head(features)
        # 1e-6 rather than the default 1e-12: it survives float16 and a blank image's all-zero features.
        return logits, logits.softmax(dim=1), F.normalize(features, dim=1, eps=1e-6), self.novelty(maps)


def count_parameters(module: nn.Module) -> int:
    """Trainable numbers in `module`."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def select_device() -> torch.device:
    """The GPU when there is one, the CPU otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
