"""All that is onnxruntime: sessions on the CPU and on CUDA. Knows nothing about bundles or what a graph means."""

import ctypes
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime import InferenceSession, OrtValue

logger = logging.getLogger("serving")

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
CUDA_OPTIONS = {"use_tf32": "0"}
"""TF32 rounds factors to 10 bits: answers would differ from the CPU's, and from card to card."""
BATCH = "batch"
"""What the graph calls its dynamic dimension."""
Provider = Literal["auto", "cpu", "cuda"]
Run = Callable[[list[str], dict[str, NDArray[np.uint8]]], list[NDArray[np.float32]]]
"""Names of outputs, and inputs by their names → these outputs: a session's `run`."""


class ProviderError(RuntimeError):
    """The asked execution provider does not work on this machine."""


class GraphError(ValueError):
    """onnxruntime cannot run the file."""


def open_run(path: Path, session: InferenceSession, wanted: Provider, threads: int, largest: int) -> tuple[str, Run]:
    """Runs the graph of `session`, which is `path` on the CPU, there or on CUDA, in batches of at most `largest`.

    Returns the execution provider, and what runs the graph on it.

    Raises ProviderError when `wanted` is "cuda" and CUDA does not work.
    """
    buckets = _on_cuda(path, threads, largest) if wanted != "cpu" else None
    if buckets:
        return CUDA, buckets.run
    if wanted == "cuda":
        raise ProviderError(
            "--provider cuda, but CUDA does not work here (see the log above): it takes an NVIDIA GPU with "
            "its driver and the extra `serve-cuda`; --provider auto falls back to the CPU"
        )
    return CPU, session.run


def open_session(
    path: Path, providers: list[str | tuple[str, dict[str, str]]], threads: int, batch: int | None = None
) -> InferenceSession:
    """A session that has run on the first of `providers`, for batches of any size, or of `batch` images and no others.

    Raises GraphError, or ProviderError when it ran on the CPU instead.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would burn a core
    if batch is not None:  # then nothing of the graph computes shapes, which CUDA would leave to the CPU
        options.add_free_dimension_override_by_name(BATCH, batch)
    try:
        session = InferenceSession(str(path), options, providers=providers)
        (image,) = session.get_inputs()
        blank = np.zeros([size if isinstance(size, int) else batch or 1 for size in image.shape], np.uint8)
        session.run(None, {image.name: blank})
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise GraphError(f"{path}: onnxruntime cannot run it: {error}") from error
    if session.get_providers()[0] == CPU and providers != [CPU]:  # it says so only once it has run
        raise ProviderError("onnxruntime fell back to the CPU")
    return session


def _on_cuda(path: Path, threads: int, largest: int) -> "Buckets | None":
    """What has really run on CUDA, at every size, or None: onnxruntime lists CUDA even where it cannot work."""
    if CUDA not in onnxruntime.get_available_providers() or not cuda_devices():
        logger.info("no CUDA device")
        return None
    onnxruntime.preload_dlls()
    try:
        return Buckets(partial(open_session, path, [(CUDA, CUDA_OPTIONS), CPU], threads), largest, "cuda")
    except Exception as error:  # again no common base; a GPU may also lack the memory for the largest batch
        logger.warning("CUDA does not work: %s", error)
        return None


def cuda_devices() -> int:
    """How many GPUs the NVIDIA driver sees; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    error = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))  # 0 is success
    return 0 if error else count.value


class Bucket:
    """A session for batches of one size, with one input (uint8) and its outputs (float32) in memory of `device`."""

    def __init__(self, session: InferenceSession, device: str) -> None:
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
        self._padded[:count] = images  # the rows behind them are computed too, and dropped
        self._input.update_inplace(self._padded)
        self._session.run_with_iobinding(self._binding)  # returns when the device is done
        # Copied, since `numpy` may return a view of the buffer that the next batch overwrites.
        return [self._outputs[name].numpy()[:count].copy() for name in names]


class Buckets:
    """Answers as a session's `run` does, for batches of up to `largest`; from one thread at a time.

    cuDNN plans a convolution for one shape, and since 1.20 onnxruntime's kernel keeps no plan but that of the last
    shape its session saw (https://github.com/microsoft/onnxruntime/issues/23006): batches of changing sizes would be
    planned again and again. So each size has a session and bound buffers of its own, and a batch is padded to the next
    size.

    Args:
        open_session: a batch size → a session that takes batches of just this size.
        largest: the last size; the others are the powers of two below it.
        device: where onnxruntime is to keep the buffers, "cuda" or "cpu".
    """

    def __init__(self, open_session: Callable[[int], InferenceSession], largest: int, device: str) -> None:
        sizes = [min(1 << power, largest) for power in range((largest - 1).bit_length() + 1)]
        self._buckets = [Bucket(open_session(size), device) for size in sizes]

    def run(self, names: list[str], inputs: dict[str, NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """The one input, (n, …) uint8 → the named outputs, (n, …) float32 each."""
        (images,) = inputs.values()
        return self._buckets[(len(images) - 1).bit_length()].run(names, images)
