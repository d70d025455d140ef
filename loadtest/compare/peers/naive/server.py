"""The handler that most people write first: FastAPI, Pillow and onnxruntime, one image a call."""

import io
import os

import numpy as np
import onnxruntime
from fastapi import FastAPI, Request
from PIL import Image

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
app = FastAPI()


@app.post("/predict")
async def predict(request: Request):
    """Which digit is on the image."""
    image = Image.open(io.BytesIO(await request.body())).convert("L")
    (probabilities,) = session.run(["probabilities"], {"image": np.asarray(image)[None, None]})
    digit = int(probabilities[0].argmax())
    return {
        "digit": digit,
        "confidence": float(probabilities[0][digit]),
        "probabilities": probabilities[0].tolist(),
        "model": os.environ["MODEL_NAME"],
    }
