"""BentoML, batched as https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html says."""

import os

import bentoml
import numpy as np
import onnxruntime
from PIL.Image import Image


@bentoml.service(workers=1, traffic={"max_concurrency": 1024}, logging={"access": {"enabled": False}})
class Digits:
    """PNG → digit."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict(self, file: list[Image]) -> list[dict]:
        images = np.stack([np.asarray(image.convert("L")) for image in file])[:, None]
        (probabilities,) = self.session.run(["probabilities"], {"image": images})
        return [
            {
                "digit": int(row.argmax()),
                "confidence": float(row.max()),
                "probabilities": row.tolist(),
                "model": os.environ["MODEL_NAME"],
            }
            for row in probabilities
        ]
