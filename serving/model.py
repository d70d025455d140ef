"""The ONNX model of a bundle: load, verify, warm up, run. Knows nothing about HTTP, images or batching."""

import ctypes
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.manifest import MODEL, BundleError, Manifest, TensorSpec
from serving.sessions import Buckets

logger = logging.getLogger("serving")

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
CUDA_OPTIONS = {"use_tf32": "0"}
"""TF32 rounds factors to 10 bits: answers would differ from the CPU's, and from card to card."""
INPUT = TensorSpec("image", "uint8", ("batch", 1, 28, 28))
ANSWERED = ["probabilities", "embedding", "novelty"]
"""The outputs that answers are made of."""
DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
Run = Callable[[list[str], dict[str, NDArray[np.uint8]]], list[NDArray[np.float32]]]
"""Names of outputs, and inputs by their names → these outputs: a session's `run`."""


class ProviderError(RuntimeError):
    """The asked execution provider does not work on this machine."""


class Prediction(NamedTuple):
    """What the model says of one image."""

    digit: int
    """The most probable class."""
    probabilities: NDArray[np.float32]
    """(classes,), sums to 1"""
    embedding: NDArray[np.float32]
    """(dim,), unit L2 norm"""
    known: bool
    """Whether the image looks like a digit at all."""
    novelty: np.float32
    """How surely it is none, from 0 to 1."""


class Model(Protocol):
    """What the service needs of a model; tests bring their own."""

    name: str
    """`name@version`"""
    provider: str
    dim: int

    def run_batch(self, images: NDArray[np.uint8]) -> list[Prediction]:
        """(n, 1, 28, 28) uint8 → n predictions."""


class OnnxModel:
    """The model of a verified bundle, and what runs its graph."""

    def __init__(self, manifest: Manifest, provider: str, run: Run) -> None:
        self.name = manifest.model
        self.provider = provider
        self.dim = int(manifest.outputs[2].shape[1])
        self._run = run
        self._threshold = np.float32(manifest.novelty_threshold)

    def run_batch(self, images: NDArray[np.uint8]) -> list[Prediction]:
        """(n, 1, 28, 28) uint8 → n predictions."""
        probabilities, embeddings, novelty = self._run(ANSWERED, {"image": images})
        digits, known = probabilities.argmax(axis=1).tolist(), (novelty <= self._threshold).tolist()
        return list(map(Prediction, digits, probabilities, embeddings, known, novelty))


def load_model(
    folder: Path, provider: Literal["auto", "cpu", "cuda"], threads: int, max_batch_size: int = 64
) -> OnnxModel:
    """Loads and warms up the bundle in `folder`; on CUDA it takes at most `max_batch_size` images at once.

    Raises BundleError when its hashes, tensors or classes disagree with its manifest, and ProviderError when
    `provider` is "cuda" and CUDA does not work.
    """
    manifest = Manifest.load(folder)
    session = open_session(folder / MODEL, [CPU], threads)
    check_tensors(folder, manifest, session)
    buckets = _on_cuda(folder / MODEL, threads, max_batch_size) if provider != "cpu" else None
    if buckets is None and provider == "cuda":
        raise ProviderError(
            "DIGITS_PROVIDER=cuda, but CUDA does not work here (see the log above): it takes an NVIDIA GPU with "
            "its driver and the extra `serve-cuda`; DIGITS_PROVIDER=auto falls back to the CPU"
        )
    model = OnnxModel(manifest, CUDA, buckets.run) if buckets else OnnxModel(manifest, CPU, session.run)
    logger.info("serving %s on %s", model.name, model.provider)
    return model


def check_tensors(folder: Path, manifest: Manifest, session: onnxruntime.InferenceSession) -> None:
    """Raises BundleError unless graph and manifest agree with each other and with what serving relies on."""
    actual = [TensorSpec(one.name, DTYPES.get(one.type, one.type), tuple(one.shape)) for one in session.get_inputs()]
    if actual != list(manifest.inputs) or actual != [INPUT]:
        raise BundleError(f"{folder / MODEL}: takes {actual}, the manifest says {manifest.inputs}, not {INPUT}")
    outputs = [TensorSpec(one.name, DTYPES.get(one.type, one.type), tuple(one.shape)) for one in session.get_outputs()]
    if outputs != list(manifest.outputs):
        raise BundleError(f"{folder / MODEL}: gives {outputs}, the manifest says {manifest.outputs}")
    classes = len(manifest.class_names)
    dim = next((one.shape[-1] for one in outputs if one.name == "embedding"), "dim")
    shapes = {"logits": (classes,), "probabilities": (classes,), "embedding": (dim,), "novelty": ()}
    needed = [TensorSpec(name, "float32", ("batch", *shape)) for name, shape in shapes.items()]
    if outputs != needed or not isinstance(dim, int):
        raise BundleError(f"{folder / MODEL}: gives {outputs}, but {classes} class names need {needed}")


def open_session(
    path: Path, providers: list[str | tuple[str, dict[str, str]]], threads: int, batch: int | None = None
) -> onnxruntime.InferenceSession:
    """A session that has run, for batches of any size, or of `batch` images and no others. Raises BundleError."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would burn a core
    if batch is not None:  # then nothing of the graph computes shapes, which CUDA would leave to the CPU
        options.add_free_dimension_override_by_name("batch", batch)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        session.run(None, {"image": np.zeros((batch or 1, 1, 28, 28), np.uint8)})
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise BundleError(f"{path}: onnxruntime cannot run it: {error}") from error
    return session


def open_cuda_session(path: Path, threads: int, batch: int) -> onnxruntime.InferenceSession:
    """A session that has run on CUDA. Raises BundleError or ProviderError."""
    session = open_session(path, [(CUDA, CUDA_OPTIONS), CPU], threads, batch)
    if session.get_providers()[0] != CUDA:  # it says so only once it has run
        raise ProviderError("onnxruntime fell back to the CPU")
    return session


def _on_cuda(path: Path, threads: int, largest: int) -> Buckets | None:
    """What has really run on CUDA, at every size, or None: onnxruntime lists CUDA even where it cannot work."""
    if CUDA not in onnxruntime.get_available_providers() or not cuda_devices():
        logger.info("no CUDA device")
        return None
    onnxruntime.preload_dlls()
    try:
        return Buckets(partial(open_cuda_session, path, threads), largest, "cuda")
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
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
