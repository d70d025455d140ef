"""MNIST as a data set: its four files → images, labels and class names."""

from pathlib import Path

import numpy as np
import torch

from training.data.dataset import DataError, Dataset
from training.data.mnist_files import mnist_files


def load(folder: Path) -> tuple[Dataset, Dataset]:
    """The 60,000 training and 10,000 test images with all their labels; downloaded into `folder` if need be.

    Raises DataError when the files cannot be had or are not the original ones.
    """
    files = mnist_files(folder)
    return _dataset(files, "train"), _dataset(files, "t10k")


def _dataset(files: dict[str, bytes], part: str) -> Dataset:
    return Dataset(
        images=torch.from_numpy(parse_idx(files[f"{part}-images-idx3-ubyte"])).unsqueeze(1),
        labels=torch.from_numpy(parse_idx(files[f"{part}-labels-idx1-ubyte"]).astype(np.int64)),
        class_names=tuple("0123456789"),
        name="MNIST",
        kind="digit",
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
