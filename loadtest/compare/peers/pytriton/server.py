"""PyTriton, as https://triton-inference-server.github.io/pytriton says. Arguments: HTTP, gRPC and metrics port."""

import io
import json
import os
import sys
import sysconfig

import numpy as np
import onnxruntime
from PIL import Image
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])


def answer(row):
    """One row of probabilities → JSON."""
    return json.dumps(
        {
            "digit": int(row.argmax()),
            "confidence": float(row.max()),
            "probabilities": row.tolist(),
            "model": os.environ["MODEL_NAME"],
        }
    ).encode()


@batch
def predict(image):
    """(n, 1) PNG files → (n, 1) answers."""
    images = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("L"))[None] for file in image[:, 0]])
    (probabilities,) = session.run(["probabilities"], {"image": images})
    return {"prediction": np.array([[answer(row)] for row in probabilities], np.object_)}


if __name__ == "__main__":
    # Triton's stub must load this Python's library, not another's (as PyTriton's installation guide says).
    os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    ports = [int(port) for port in sys.argv[1:]]
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=ports[0],
        grpc_address="127.0.0.1",
        grpc_port=ports[1],
        metrics_port=ports[2],
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="digits",
            infer_func=predict,
            inputs=[Tensor(name="image", dtype=np.bytes_, shape=(1,))],
            outputs=[Tensor(name="prediction", dtype=np.bytes_, shape=(1,))],
            config=ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()
