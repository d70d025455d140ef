"""Small real data: the committed sample, so that no test of learning downloads anything."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.data.dataset import Dataset


@pytest.fixture(scope="session")
def sample(digits: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> Dataset:
    """1,000 real digits, all labelled."""
    images, labels = digits
    return Dataset(
        torch.from_numpy(images).unsqueeze(1),
        torch.from_numpy(labels).long(),
        tuple(str(digit) for digit in range(10)),
        "digits",
        "digit",
    )
