"""Random views of images: what each kind of picture may look like without becoming another.

Knows no kind; each has a module of its own.
"""

from typing import Protocol

import torch
from torch import Tensor


class Views(Protocol):
    """Settings of random views that can make them."""

    def apply(self, images: Tensor, generator: torch.Generator, /) -> Tensor:
        """One random view of each of (n, channels, height, width) uint8 images: the same shape and dtype."""
