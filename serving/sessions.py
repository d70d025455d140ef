"""A graph at a few fixed batch sizes, in buffers that are bound once: what a GPU wants. Knows neither bundle nor CUDA.

cuDNN plans a convolution for one shape, and since 1.20 onnxruntime's kernel keeps no plan but that of the last shape
its session saw (https://github.com/microsoft/onnxruntime/issues/23006): batches of changing sizes are planned again
and again, warmed up or not. So each size has a session of its own, and a batch is padded to the next size.
"""

from collections.abc import Callable

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime import OrtValue


class Bucket:
    """A session for batches of one size, with one input (uint8) and its outputs (float32) in memory of `device`."""

    def __init__(self, session: onnxruntime.InferenceSession, device: str) -> None:
        (image,) = session.get_inputs()
        self._padded = np.zeros(image.shape, np.uint8)
        self._input = OrtValue.ortvalue_from_shape_and_type(image.shape, np.uint8, device)
        self._outputs = {
            one.name: OrtValue.ortvalue_from_shape_and_type(one.shape, np.float32, device)
            for one in session.get_outputs()
        }
        self._session = session
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(image.name, self._input)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)
        self.run(list(self._outputs), self._padded)  # warms up

    def run(self, names: list[str], images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """(n, …) uint8, n at most the session's size → the named outputs, (n, …) float32 each."""
        count = len(images)
        self._padded[:count] = images  # what lies behind them is computed too, and thrown away
        self._input.update_inplace(self._padded)
        self._session.run_with_iobinding(self._binding)  # returns when the device is done
        # Copied, since `numpy` may return a view of the buffer that the next batch overwrites.
        return [self._outputs[name].numpy()[:count].copy() for name in names]


class Buckets:
    """Answers as a session's `run` does, for batches of up to `largest`; from one thread at a time.

    Args:
        open_session: a batch size → a session that takes batches of just this size.
        largest: the last size; the others are the powers of two below it.
        device: where onnxruntime is to keep the buffers, "cuda" or "cpu".
    """

    def __init__(self, open_session: Callable[[int], onnxruntime.InferenceSession], largest: int, device: str) -> None:
        sizes = [min(1 << power, largest) for power in range((largest - 1).bit_length() + 1)]
        self._buckets = [Bucket(open_session(size), device) for size in sizes]

    def run(self, names: list[str], inputs: dict[str, NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """The one input, (n, …) uint8 → the named outputs, (n, …) float32 each."""
        (images,) = inputs.values()
        return self._buckets[(len(images) - 1).bit_length()].run(names, images)
