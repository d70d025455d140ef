"""Writes the real digits that are committed under examples/: `python -m training.experiments.samples`.

The first 1,000 MNIST test images in one file, for the load test and for tests without torch, and the first image of
each class as a PNG, for people.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from training.data import mnist

FOLDER = Path("examples")
COUNT = 1000


def main() -> None:
    """Overwrites examples/digits.npz and examples/0.png to examples/9.png."""
    _, test = mnist.load(Path("data"))
    images, labels = test.images[:COUNT, 0].numpy(), test.labels[:COUNT].numpy().astype(np.uint8)
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / "digits.npz", images=images, labels=labels)
    for digit in range(len(test.class_names)):
        Image.fromarray(images[np.flatnonzero(labels == digit)[0]]).save(FOLDER / f"{digit}.png")


if __name__ == "__main__":
    main()
