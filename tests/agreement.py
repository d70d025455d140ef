"""Whether two models give the same answers, whatever the batch; imports nothing that needs torch."""

import numpy as np
from numpy.typing import NDArray

from serving.model import Model


def compare_every_batch_size(
    model: Model, reference: Model, images: NDArray[np.uint8], largest: int, atol: float
) -> None:
    """Asks `model` for (n, 1, 28, 28) of `images` for each n up to `largest`, twice, in random order.

    Compares when all answers are there: one that a later batch has overwritten would differ.
    """
    random = np.random.default_rng(0)
    sizes = random.permutation(np.repeat(np.arange(1, largest + 1), 2))
    batches = [images[random.integers(len(images), size=size)] for size in sizes]
    answers = [model.run_batch(batch) for batch in batches]
    for batch, ours in zip(batches, answers, strict=True):
        theirs = reference.run_batch(batch)
        assert len(ours) == len(theirs)
        for field in ("probabilities", "embedding", "novelty"):
            np.testing.assert_allclose(
                [getattr(one, field) for one in ours], [getattr(one, field) for one in theirs], rtol=0, atol=atol
            )
