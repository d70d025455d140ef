"""From a trained classifier to a bundle: ONNX graph, parity check, similarity index, manifest.

Figures and index come from the exported file run by onnxruntime: what is measured is what is served.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from models.manifest import INDEX, MANIFEST, MODEL, BundleError, InputSpec, Manifest, Metric, TensorSpec, sha256
from training.graphs import graph_of
from training.networks import ServedModel, Shape, count_parameters
from training.provenance import packages

PARITY_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Described:
    """What a manifest says that its files do not; the fields are the manifest's."""

    name: str
    git_commit: str | None
    """The code's, as it was when the training began (`provenance.git_commit`)."""
    protocol: str
    knowledge: str
    input: InputSpec
    network: dict[str, Any]
    class_names: tuple[str, ...]
    novelty_threshold: float
    metrics: dict[str, Metric]
    training: dict[str, Any]


class Known(NamedTuple):
    """Labels of n indexed images."""

    indices: NDArray[np.int64]
    """(n,) class indices, -1 for none."""
    given: NDArray[np.bool_]
    """(n,): whether it came with the image, or is the model's own guess."""


class Answers(NamedTuple):
    """What the exported model says of n images, all float32; the names are those of the graph's outputs."""

    logits: NDArray[np.float32]
    """(n, classes)"""
    probabilities: NDArray[np.float32]
    """(n, classes)"""
    embedding: NDArray[np.float32]
    """(n, dim), unit L2 norm"""
    novelty: NDArray[np.float32]
    """(n,), from 0, surely a digit, to 1"""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(n,) class indices."""
        return np.asarray(self.logits.argmax(axis=1), np.int64)


def write_onnx(served: ServedModel, path: Path, shape: Shape) -> None:
    """Writes the graph of images of `shape` (uint8 `image` → `Answers`, dynamic batch) to one self-contained file."""
    path.write_bytes(graph_of(served, shape, Answers._fields).SerializeToString())


def run_onnx(path: Path, images: NDArray[np.uint8], batch_size: int = 1000) -> Answers:
    """The exported file's answers to (n, channels, height, width) uint8 images, on the CPU."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    batches = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
    answers = [session.run(Answers._fields, {"image": batch}) for batch in batches]
    return Answers(*(np.concatenate(part) for part in zip(*answers, strict=True)))


@torch.no_grad()
def parity(served: ServedModel, path: Path, images: NDArray[np.uint8]) -> float:
    """Largest difference between torch and onnxruntime over all outputs; raises BundleError above 1e-4."""
    expected = served.cpu().eval()(torch.from_numpy(images))
    pairs = zip(expected, run_onnx(path, images), strict=True)
    difference = max(float(np.abs(ours.numpy() - actual).max()) for ours, actual in pairs)
    if not difference <= PARITY_TOLERANCE:
        raise BundleError(f"{path}: differs from the trained network by {difference:.2e} > {PARITY_TOLERANCE}")
    return difference


def write_index(
    path: Path, ids: Sequence[str], thumbnails: NDArray[np.uint8], embeddings: NDArray[np.float32], labels: Known
) -> None:
    """Writes the similarity index of n images, their `thumbnails` (n, height, width) or (n, height, width, 3)."""
    np.savez_compressed(
        path,
        ids=np.array(ids),
        embeddings=embeddings.astype(np.float16),
        thumbnails=thumbnails,
        labels=labels.indices.astype(np.int32),
        label_given=labels.given,
    )


def write_manifest(folder: Path, described: Described) -> Manifest:
    """Declares the files in `folder` a bundle: to be called last."""
    graph = onnx.load(folder / MODEL).graph
    inputs, outputs = (tuple(_spec(value) for value in values) for values in (graph.input, graph.output))
    manifest = Manifest(
        **vars(described),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        files={name: sha256(folder / name) for name in (MODEL, INDEX)},
        inputs=inputs,
        outputs=outputs,
        packages=packages(),
    )
    manifest.save(folder)
    return manifest


def described_network(served: ServedModel, widths: Sequence[int]) -> dict[str, Any]:
    """What a manifest tells of a network."""
    return {
        "name": type(served.classifier.backbone).__name__,
        "widths": list(widths),
        "features": served.classifier.backbone.dim,
        "parameters": count_parameters(served),
    }


def retract_manifest(folder: Path) -> None:
    """Makes `folder` hold no valid bundle while its files are rewritten."""
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / "README.md").unlink(missing_ok=True)  # the card of what was there


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(size.dim_param or size.dim_value for size in tensor.shape.dim)
    return TensorSpec(value.name, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)
