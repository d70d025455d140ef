"""LitServe, batched as https://lightning.ai/docs/litserve/features/batching says.

LitServe itself takes JSON or a form; a file as the body needs FastAPI's `Depends`, and is faster than a form.
"""

import io
import os
import sys
from typing import Annotated

import litserve as ls
import numpy as np
import onnxruntime
from fastapi import Depends, Request
from PIL import Image


async def body_of(request: Request) -> bytes:
    """The file."""
    return await request.body()


class Digits(ls.LitAPI):
    """PNG → digit."""

    def setup(self, device):  # noqa: ARG002 (LitServe gives it)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request: Annotated[bytes, Depends(body_of)]):
        return np.asarray(Image.open(io.BytesIO(request)).convert("L"))[None]

    def predict(self, images):
        return self.session.run(["probabilities"], {"image": images})[0]

    def encode_response(self, probabilities):
        digit = int(probabilities.argmax())
        return {
            "digit": digit,
            "confidence": float(probabilities[digit]),
            "probabilities": probabilities.tolist(),
            "model": os.environ["MODEL_NAME"],
        }


if __name__ == "__main__":
    api = Digits(max_batch_size=64, batch_timeout=0.001)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False, access_log=False
    )
