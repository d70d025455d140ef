"""No server: how many images a second onnxruntime alone does in batches of 64. Arguments: model, seconds."""

import json
import sys
import time

import numpy as np
import onnxruntime

BATCH = 64


def measure(model, seconds):
    """Images a second after a warm-up of 20 batches."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).integers(0, 256, (BATCH, 1, 28, 28), dtype=np.uint8)
    for _ in range(20):
        session.run(None, {"image": images})
    batches, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        session.run(None, {"image": images})
        batches += 1
    return batches * BATCH / (time.perf_counter() - started)


if __name__ == "__main__":
    print(json.dumps({"images_per_second": measure(sys.argv[1], float(sys.argv[2]))}))
