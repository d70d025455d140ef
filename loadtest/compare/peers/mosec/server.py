"""mosec, as in https://mosecorg.github.io/mosec/examples/pytorch.html: bytes in, JSON out, batched."""

import io
import os

import numpy as np
import onnxruntime
from mosec import Server, Worker
from PIL import Image


class Digits(Worker):
    """PNG → digit."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    def deserialize(self, data):
        return np.asarray(Image.open(io.BytesIO(data)).convert("L"))[None]

    def forward(self, data):
        (probabilities,) = self.session.run(["probabilities"], {"image": np.stack(data)})
        return [
            {
                "digit": int(row.argmax()),
                "confidence": float(row.max()),
                "probabilities": row.tolist(),
                "model": os.environ["MODEL_NAME"],
            }
            for row in probabilities
        ]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Digits, num=1, max_batch_size=64, max_wait_time=1, route="/predict")
    server.run()
