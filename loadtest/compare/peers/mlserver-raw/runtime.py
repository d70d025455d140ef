"""MLServer with a REST handler of its own: the file is the body, which the Open Inference Protocol cannot carry.

Such a handler is outside of MLServer's batching.
"""

import io
import os

import numpy as np
import onnxruntime
from fastapi import Request
from mlserver import MLModel
from mlserver.handlers import custom_handler
from PIL import Image


class Digits(MLModel):
    """PNG → digit."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        return True

    @custom_handler(rest_path="/predict")
    async def predict_file(self, request: Request) -> dict:
        image = Image.open(io.BytesIO(await request.body())).convert("L")
        (probabilities,) = self.session.run(["probabilities"], {"image": np.asarray(image)[None, None]})
        digit = int(probabilities[0].argmax())
        return {
            "digit": digit,
            "confidence": float(probabilities[0][digit]),
            "probabilities": probabilities[0].tolist(),
            "model": os.environ["MODEL_NAME"],
        }
