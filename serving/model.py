"""The ONNX model of a bundle: load, verify, warm up, run. Knows nothing about HTTP, images or batching."""

import ctypes
import logging
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.manifest import MODEL, BundleError, Manifest, TensorSpec

logger = logging.getLogger("serving")

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
INPUT = TensorSpec("image", "uint8", ("batch", 1, 28, 28))
ANSWERED = ["probabilities", "embedding", "novelty"]
"""The outputs that answers are made of."""
DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


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
    """The model of a verified bundle in one onnxruntime session."""

    def __init__(self, folder: Path, manifest: Manifest, session: onnxruntime.InferenceSession) -> None:
        check_tensors(folder, manifest, session)
        self.name = manifest.model
        self.provider: str = session.get_providers()[0]
        self.dim = int(manifest.outputs[2].shape[1])
        self._session = session
        self._threshold = np.float32(manifest.novelty_threshold)

    def run_batch(self, images: NDArray[np.uint8]) -> list[Prediction]:
        """(n, 1, 28, 28) uint8 → n predictions."""
        probabilities, embeddings, novelty = self._session.run(ANSWERED, {"image": images})
        digits, known = probabilities.argmax(axis=1).tolist(), (novelty <= self._threshold).tolist()
        return list(map(Prediction, digits, probabilities, embeddings, known, novelty))


def load_model(folder: Path, provider: Literal["auto", "cpu", "cuda"], threads: int) -> OnnxModel:
    """Loads and warms up the bundle in `folder`.

    Raises BundleError when its hashes, tensors or classes disagree with its manifest, and ProviderError when
    `provider` is "cuda" and CUDA does not work.
    """
    manifest = Manifest.load(folder)
    path = folder / MODEL
    session = _cuda_session(path, threads) if provider != "cpu" else None
    if session is None:
        if provider == "cuda":
            raise ProviderError(
                "DIGITS_PROVIDER=cuda, but CUDA does not work here (see the log above): it takes an NVIDIA GPU with "
                "its driver and the extra `serve-cuda`; DIGITS_PROVIDER=auto falls back to the CPU"
            )
        session = _session(path, [CPU], threads)
    model = OnnxModel(folder, manifest, session)
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


def _session(path: Path, providers: list[str], threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would burn a core
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        session.run(None, {"image": np.zeros((1, 1, 28, 28), np.uint8)})
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise BundleError(f"{path}: onnxruntime cannot run it: {error}") from error
    return session


def _cuda_session(path: Path, threads: int) -> onnxruntime.InferenceSession | None:
    """A session that has really run on CUDA, or None: onnxruntime lists CUDA even where it cannot work."""
    if CUDA not in onnxruntime.get_available_providers() or not cuda_devices():
        logger.info("no CUDA device")
        return None
    onnxruntime.preload_dlls()
    try:
        session = _session(path, [CUDA, CPU], threads)
    except BundleError as error:
        logger.warning("CUDA does not work: %s", error)
        return None
    return session if session.get_providers()[0] == CUDA else None


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
