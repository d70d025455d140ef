"""Images, labels and class names as tensors: nothing after this module knows the word MNIST."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.download import DataError, mnist_files

UNLABELLED = -1


@dataclass(frozen=True)
class Dataset:
    """Images with what is known of their classes."""

    images: Tensor
    """(n, 1, 28, 28) uint8, ink 255 on background 0."""
    labels: Tensor
    """(n,) int64, an index into `class_names`, or UNLABELLED."""
    class_names: tuple[str, ...]
    name: str
    """What the images are, for reports."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def is_labelled(self) -> Tensor:
        """(n,) bool."""
        return self.labels != UNLABELLED

    def labelled(self) -> "Dataset":
        """Only the images whose label is known."""
        return self.subset(self.is_labelled)

    def unlabelled(self) -> "Dataset":
        """Only the images whose label is not known."""
        return self.subset(~self.is_labelled)

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


def load_mnist(folder: Path) -> tuple[Dataset, Dataset]:
    """The 60,000 training and 10,000 test images with all their labels; downloaded into `folder` if need be.

    Raises DataError when the files cannot be had or are not the original ones.
    """
    files = mnist_files(folder)
    return (
        _dataset(files["train-images-idx3-ubyte"], files["train-labels-idx1-ubyte"]),
        _dataset(files["t10k-images-idx3-ubyte"], files["t10k-labels-idx1-ubyte"]),
    )


def _dataset(images: bytes, labels: bytes) -> Dataset:
    return Dataset(
        images=torch.from_numpy(parse_idx(images)).unsqueeze(1),
        labels=torch.from_numpy(parse_idx(labels).astype(np.int64)),
        class_names=tuple(str(digit) for digit in range(10)),
        name="MNIST",
    )


def parse_idx(content: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """An array of unsigned bytes in the IDX format (LeCun): 0, 0, 8, rank, each size as big-endian uint32, data."""
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DataError("not an IDX file of unsigned bytes")
    header = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], ">u4"))
    if len(content) - header != int(np.prod(shape)):
        raise DataError(f"an IDX file of shape {shape} cannot have {len(content) - header} bytes of data")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()
