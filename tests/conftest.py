"""What several test folders share; imports nothing that needs torch."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent
BUNDLE = ROOT / "models" / "digits"
Digits = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture(scope="session")
def digits() -> Digits:
    """1,000 real test digits: (1000, 28, 28) uint8 and their labels."""
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        return arrays["images"], arrays["labels"]
