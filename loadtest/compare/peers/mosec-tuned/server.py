"""mosec with all that helps it: OpenCV decodes, orjson writes float32 arrays, the shortest wait for a batch."""

import os

import cv2
import numpy as np
import onnxruntime
import orjson
from mosec import Server, Worker

cv2.setNumThreads(1)


class Digits(Worker):
    """PNG → digit."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self.name = os.environ["MODEL_NAME"]

    def deserialize(self, data):
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)

    def forward(self, data):
        (probabilities,) = self.session.run(["probabilities"], {"image": np.stack(data)[:, None]})
        digits = probabilities.argmax(axis=1).tolist()
        return [
            {"digit": digit, "confidence": row[digit], "probabilities": row, "model": self.name}
            for digit, row in zip(digits, probabilities, strict=True)
        ]

    def serialize(self, data):
        return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Digits, num=1, max_batch_size=64, max_wait_time=1, route="/predict")
    server.run()
