"""A model of Triton's Python backend (https://github.com/triton-inference-server/python_backend): PNG → digit."""

import io
import json
import os

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
from PIL import Image


class TritonPythonModel:
    """Takes all requests of a batch at once."""

    def initialize(self, args):  # noqa: ARG002 (Triton gives it)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        files = [pb_utils.get_input_tensor_by_name(request, "image").as_numpy().item() for request in requests]
        images = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("L"))[None] for file in files])
        (probabilities,) = self.session.run(["probabilities"], {"image": images})
        return [self.response(row) for row in probabilities]

    def response(self, row):
        answer = {
            "digit": int(row.argmax()),
            "confidence": float(row.max()),
            "probabilities": row.tolist(),
            "model": os.environ["MODEL_NAME"],
        }
        prediction = np.array([[json.dumps(answer).encode()]], np.object_)
        return pb_utils.InferenceResponse([pb_utils.Tensor("prediction", prediction)])
