"""`python -P faulty.py OPTIONS`: the service of the checkout on PYTHONPATH, with a model that FAULT makes faulty.

FAULT is `slow N` (N images a second), or `raise`, `exit`, `count` or `hang` (what the model does with a batch that
holds the second digit of examples/digits.npz). Worker processes import this file too.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from serving import __main__ as program
from serving.model import OnnxModel, Prediction

FAULT, _, RATE = os.environ["FAULT"].partition(" ")
with np.load(Path(__file__).parents[2] / "examples" / "digits.npz") as arrays:
    TRIGGER = arrays["images"][1]
run_batch = OnnxModel.run_batch


def run_slowly(model: OnnxModel, images: Any) -> list[Prediction]:
    started = time.perf_counter()
    results = run_batch(model, images)
    time.sleep(max(0.0, len(images) / float(RATE) - (time.perf_counter() - started)))
    return results


def run_into_the_fault(model: OnnxModel, images: Any) -> list[Prediction]:
    results = run_batch(model, images)
    if not any(np.array_equal(np.squeeze(image), TRIGGER) for image in images):
        return results
    if FAULT == "hang":
        time.sleep(3600)
    if FAULT == "raise":
        raise ValueError("the model is broken")
    if FAULT == "exit":
        raise SystemExit("the model ends")
    return results[1:]


OnnxModel.run_batch = run_slowly if FAULT == "slow" else run_into_the_fault  # type: ignore[assignment, method-assign]

if __name__ == "__main__":
    program.main()
