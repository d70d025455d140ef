"""Ray Serve, batched as https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html says."""

import io
import os
import sys
import time

import numpy as np
import onnxruntime
import ray
from PIL import Image
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=256, logging_config={"enable_access_log": False})
class Digits:
    """PNG → digit."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def predict(self, files: list[bytes]) -> list[dict]:
        images = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("L"))[None] for file in files])
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

    async def __call__(self, request: Request) -> dict:
        return await self.predict(await request.body())


if __name__ == "__main__":
    ray.init(num_cpus=1, include_dashboard=False, _node_ip_address="127.0.0.1", _temp_dir=sys.argv[2])
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Digits.bind(), route_prefix="/predict")
    while True:
        time.sleep(60)
