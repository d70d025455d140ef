"""The model of a bundle: what its graph takes and gives. Knows nothing about HTTP, pictures or batching."""

import logging
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from models.manifest import MODEL, BundleError, InputSpec, Manifest, TensorSpec
from serving.logs import one_line
from serving.sessions import BATCH, CPU, GraphError, Provider, Run, open_run, open_session

logger = logging.getLogger("serving")

ANSWERED = ["probabilities", "embedding", "novelty"]
"""The outputs that answers are made of; a graph without classes has no probabilities."""
DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class Prediction(NamedTuple):
    """What the model says of one image."""

    class_index: int
    """The most probable class; -1 where the model names none."""
    probabilities: NDArray[np.float32]
    """(classes,), sums to 1 where there are any"""
    embedding: NDArray[np.float32]
    """(dim,), unit L2 norm"""
    known: bool
    """Whether the image looks like one of the classes at all."""
    novelty: np.float32
    """How surely it is none of them, or nothing like what the model has learnt from, from 0 to 1."""


class Model(Protocol):
    """What the service needs of a model; tests bring their own."""

    name: str
    """`name@version`"""
    provider: str
    dim: int
    class_names: tuple[str, ...]
    """None where the images that it learnt from had no labels."""
    input: InputSpec
    manifest: Manifest

    def run_batch(self, images: NDArray[np.uint8]) -> list[Prediction]:
        """(n, channels, height, width) uint8 → n predictions."""


class OnnxModel:
    """The model of a verified bundle, and what runs its graph."""

    def __init__(self, manifest: Manifest, provider: str, run: Run) -> None:
        self.manifest = manifest
        self.name = manifest.model
        self.provider = provider
        self.class_names = manifest.class_names
        self.input = manifest.input
        self.dim = next(int(one.shape[1]) for one in manifest.outputs if one.name == "embedding")
        self._run = run
        self._threshold = np.float32(manifest.novelty_threshold)

    def run_batch(self, images: NDArray[np.uint8]) -> list[Prediction]:
        """(n, channels, height, width) uint8 → n predictions."""
        if self.class_names:
            probabilities, embeddings, novelty = self._run(ANSWERED, {"image": images})
            classes = probabilities.argmax(axis=1).tolist()
        else:
            embeddings, novelty = self._run(ANSWERED[1:], {"image": images})
            probabilities, classes = np.empty((len(images), 0), np.float32), [-1] * len(images)
        known = (novelty <= self._threshold).tolist()
        return list(map(Prediction, classes, probabilities, embeddings, known, novelty))


def load_model(folder: Path, provider: Provider, threads: int, max_batch_size: int = 64) -> OnnxModel:
    """Loads and warms up the bundle in `folder`; on CUDA it takes at most `max_batch_size` images at once.

    Raises BundleError when its hashes, tensors or classes disagree with its manifest, and ProviderError when
    `provider` is "cuda" and CUDA does not work.
    """
    manifest = Manifest.load(folder)
    try:
        session = open_session(folder / MODEL, [CPU], threads)
    except GraphError as error:
        raise BundleError(str(error)) from error
    check_tensors(folder, manifest, session)
    model = OnnxModel(manifest, *open_run(folder / MODEL, session, provider, threads, max_batch_size))
    logger.info("serving %s on %s", one_line(model.name), model.provider)
    return model


def check_tensors(folder: Path, manifest: Manifest, session: InferenceSession) -> None:
    """Raises BundleError unless graph and manifest agree with each other and with what serving relies on."""
    actual = [TensorSpec(one.name, DTYPES.get(one.type, one.type), tuple(one.shape)) for one in session.get_inputs()]
    taken = TensorSpec("image", "uint8", (BATCH, *manifest.input.shape))
    if actual != list(manifest.inputs) or actual != [taken]:
        raise BundleError(f"{folder / MODEL}: takes {actual}, the manifest says {manifest.inputs} and {taken}")
    outputs = [TensorSpec(one.name, DTYPES.get(one.type, one.type), tuple(one.shape)) for one in session.get_outputs()]
    classes = len(manifest.class_names)
    dim = next((one.shape[-1] for one in outputs if one.name == "embedding"), "dim")
    named = {"logits": (classes,), "probabilities": (classes,)} if classes else {}
    shapes = {**named, "embedding": (dim,), "novelty": ()}
    needed = [TensorSpec(name, "float32", (BATCH, *shape)) for name, shape in shapes.items()]
    if outputs != list(manifest.outputs) or outputs != needed or not isinstance(dim, int):
        wanted = f"the manifest says {manifest.outputs}, and {classes} class names need {needed}"
        raise BundleError(f"{folder / MODEL}: gives {outputs}, {wanted}")
