"""How many images a second CUDA answers, as it is served and without padding: `python -m tests.reports.throughput`.

Batches of the 1,000 test digits, one after another, the making of predictions included; needs a GPU.
"""

import time

import numpy as np
from numpy.typing import NDArray

from models.manifest import MODEL, Manifest
from serving.model import Model, OnnxModel, load_model
from serving.sessions import CPU, CUDA, CUDA_OPTIONS, open_session
from tests.conftest import BUNDLE, ROOT

LARGEST = 64
SECONDS = 2


def images_per_second(model: Model, batches: list[NDArray[np.uint8]]) -> float:
    """All `batches` once to warm up, then again and again for SECONDS."""
    for batch in batches:
        model.run_batch(batch)
    count, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < SECONDS:
        for batch in batches:
            count += len(model.run_batch(batch))
    return count / seconds


def main() -> None:
    """A table in Markdown."""
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        images = arrays["images"][:, None]
    sizes = np.random.default_rng(0).integers(1, LARGEST + 1, size=100)
    full, mixed = ([images[:size] for size in some] for some in ([LARGEST], sizes))
    served = load_model(BUNDLE, "cuda", 1, LARGEST)
    unpadded = open_session(BUNDLE / MODEL, [(CUDA, CUDA_OPTIONS), CPU], 1)
    models = {
        "CUDA, as served": served,
        "CUDA, no padding, no binding": OnnxModel(Manifest.load(BUNDLE), CUDA, unpadded.run),
        "CPU, one thread": load_model(BUNDLE, "cpu", 1),
    }
    print(f"| images/s | batches of {LARGEST} | of 1 to {LARGEST} |\n|---|---|---|")
    for name, model in models.items():
        print(f"| {name} | {images_per_second(model, full):,.0f} | {images_per_second(model, mixed):,.0f} |")


if __name__ == "__main__":
    main()
