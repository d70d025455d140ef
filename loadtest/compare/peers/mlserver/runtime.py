"""MLServer, as https://docs.seldon.ai/mlserver/user-guide/custom says: a custom runtime, batched adaptively."""

import io
import json
import os

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import Base64Codec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from PIL import Image


class Digits(MLModel):
    """PNG → digit."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        files = Base64Codec.decode_input(payload.inputs[0])
        images = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("L"))[None] for file in files])
        (probabilities,) = self.session.run(["probabilities"], {"image": images})
        answers = [
            json.dumps(
                {
                    "digit": int(row.argmax()),
                    "confidence": float(row.max()),
                    "probabilities": row.tolist(),
                    "model": os.environ["MODEL_NAME"],
                }
            )
            for row in probabilities
        ]
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("prediction", answers)])
