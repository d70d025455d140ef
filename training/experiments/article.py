"""The network of the article that this project grew from: as its notebook has it, and in place of ours.

Three 3×3 convolutions without padding (16, 16, 32 channels), each with ReLU and 2×2 max-pooling, then a head of three
layers, 32 → 32 → 16 → 10: 8,874 parameters.
"""

from torch import Tensor, nn

from training.networks import Classifier, Preprocess
from training.stages.finetune import FinetuneSettings
from training.views.digits import GENTLE

WIDTHS = (16, 16, 32)
ARTICLE_FINETUNE = FinetuneSettings(epochs=12, learning_rate=1e-2, views=GENTLE)
"""Its capacity is too small for the served network's wilder views."""


class ArticleBackbone(nn.Module):
    """The article's convolutions as a `FeatureExtractor` of (n, 1, 28, 28) uint8 images: its maps are its features."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 32
        self.maps = nn.Sequential(Preprocess(), *_convolutions(), nn.Flatten())  # (n, 32)

    def features(self, maps: Tensor) -> Tensor:
        """The same (n, 32)."""
        return maps


def article_classifier(classes: int) -> Classifier:
    """Not yet trained: (n, 1, 28, 28) uint8 → logits."""
    return Classifier(ArticleBackbone(), nn.Sequential(*_head(classes)))


def article_backbone() -> nn.Sequential:
    """Not yet trained, as in the notebook: (n, 1, 28, 28) float32, not normalised → (n, 32)."""
    return nn.Sequential(*_convolutions(), nn.Flatten())


def article_head(classes: int) -> nn.Sequential:
    """Not yet trained, as in the notebook: (n, 32) → probabilities, since it ends in a softmax."""
    return nn.Sequential(*_head(classes), nn.Softmax(dim=1))


def _convolutions() -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in zip((1, *WIDTHS), WIDTHS, strict=False):
        layers += [nn.Conv2d(inputs, outputs, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return layers


def _head(classes: int) -> list[nn.Module]:
    return [nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, classes)]
