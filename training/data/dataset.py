"""Images, labels and class names as tensors. Knows no particular data set."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.manifest import InputSpec
from training.data.errors import DataError as DataError

UNLABELLED = -1


@dataclass(frozen=True)
class Dataset:
    """Images with what is known of their classes."""

    images: Tensor
    """(n, channels, height, width) uint8; of digits, ink 255 on background 0."""
    labels: Tensor
    """(n,) int64, an index into `class_names`, or UNLABELLED."""
    class_names: tuple[str, ...]
    name: str
    """What the images are, for reports."""
    kind: str
    """How uploads become such images (`models.pictures.preparation`)."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @property
    def input(self) -> InputSpec:
        """Such an image, as the manifest tells it."""
        channels, height, width = self.image_shape
        return InputSpec(self.kind, height, width, channels)

    @property
    def is_labelled(self) -> Tensor:
        """(n,) bool."""
        return self.labels != UNLABELLED

    def labelled(self) -> "Dataset":
        """Only the images whose label is known."""
        return self.subset(self.is_labelled)

    def subset(self, chosen: Tensor) -> "Dataset":
        """The images that `chosen` (bool mask or int64 indices) picks."""
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])

    def to(self, device: torch.device) -> "Dataset":
        """The same data on `device`."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


def forget_labels(data: Dataset, *, keep: int) -> Dataset:
    """`data` with only its first `keep` labels; raises DataError when a class then has none."""
    if not 0 < keep <= len(data):
        raise DataError(f"{keep} labels cannot be kept of {len(data)} images")
    return keep_labels(data, torch.arange(keep))


def keep_labels(data: Dataset, kept: Tensor) -> Dataset:
    """`data` with only the labels of the images at `kept` (int64); raises DataError when a class then has none."""
    labels = torch.full_like(data.labels, UNLABELLED)
    labels[kept] = data.labels[kept]
    missing = set(range(len(data.class_names))) - set(labels[kept].tolist())
    if missing:
        names = ", ".join(data.class_names[index] for index in sorted(missing))
        raise DataError(f"the {len(kept)} labelled images hold no example of class {names}: keep more labels")
    return replace(data, labels=labels)
