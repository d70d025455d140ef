"""From a trained classifier to a bundle: ONNX graph, parity check, similarity index, manifest.

Figures and index come from the exported file run by onnxruntime: what is measured is what is served.
"""

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from models.manifest import INDEX, MANIFEST, MODEL, BundleError, InputSpec, Manifest, Metric, TensorSpec, sha256
from training.data.dataset import Dataset
from training.networks import ServedModel, Shape, count_parameters
from training.provenance import conditions, packages, plain
from training.settings import TrainingSettings

OPSET = 18
"""Read by onnxruntime, Triton and OpenVINO alike."""
PARITY_TOLERANCE = 1e-4
PROTOCOL = (
    "Accuracy of this file run by onnxruntime on {score.n:,} {data.name} test images, scored once after the last "
    "epoch. The run saw {images:,} training images, the labels of the first {labels} of them, and nothing of the test "
    "set; its settings were chosen on the labels of training images 50,000 to 59,999."
)


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
    example = torch.zeros((2, *shape), dtype=torch.uint8)
    with warnings.catch_warnings(action="ignore"):  # the exporter's own, about its dependencies
        program = torch.onnx.export(
            served.cpu().eval(),
            (example,),
            dynamo=True,
            input_names=["image"],
            output_names=Answers._fields,
            dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    strip_metadata(proto)
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())


def strip_metadata(proto: onnx.ModelProto) -> None:
    """Removes the exporter's notes: stack traces that carry this machine's paths."""
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")


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


def write_index(path: Path, data: Dataset, answers: Answers) -> None:
    """Writes the similarity index of `data`: embeddings, thumbnails, ids, labels and where each label is from."""
    given = data.is_labelled.numpy()
    np.savez_compressed(
        path,
        ids=np.array([f"train-{number}" for number in range(len(data))]),
        embeddings=answers.embedding.astype(np.float16),
        thumbnails=data.images[:, 0].numpy(),
        labels=np.where(given, data.labels.numpy(), answers.predicted).astype(np.uint8),
        label_given=given,
    )


def write_manifest(
    folder: Path,
    settings: TrainingSettings,
    data: Dataset,
    metrics: dict[str, Metric],
    novelty_threshold: float,
    device: torch.device,
    commit: str | None,
    served: ServedModel,
    knowledge: str = "none",
) -> Manifest:
    """Declares the files in `folder` a bundle: to be called last.

    `metrics` holds "test_accuracy" and "test_refused", `novelty_threshold` is what `fit_novelty` answers; `device` is
    where the weights were trained, `commit` the code's as it was then (`provenance.git_commit`); `served` is
    the network in the graph.
    """
    score = metrics["test_accuracy"]
    graph = onnx.load(folder / MODEL).graph
    inputs, outputs = (tuple(_spec(value) for value in values) for values in (graph.input, graph.output))
    channels, height, width = data.image_shape
    manifest = Manifest(
        name=settings.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=commit,
        protocol=PROTOCOL.format(score=score, data=data, images=len(data), labels=settings.labels),
        knowledge=knowledge,
        files={name: sha256(folder / name) for name in (MODEL, INDEX)},
        input=InputSpec(data.kind, height, width, channels),
        network={
            "name": type(served.classifier.backbone).__name__,
            "widths": list(settings.widths),
            "features": outputs[2].shape[1],
            "parameters": count_parameters(served),
        },
        inputs=inputs,
        outputs=outputs,
        class_names=data.class_names,
        novelty_threshold=novelty_threshold,
        metrics=metrics,
        training={**plain(settings), **conditions(device)},
        packages=packages(),
    )
    manifest.save(folder)
    return manifest


def retract_manifest(folder: Path) -> None:
    """Makes `folder` hold no valid bundle while its files are rewritten."""
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / "README.md").unlink(missing_ok=True)  # the card of what was there


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(size.dim_param or size.dim_value for size in tensor.shape.dim)
    return TensorSpec(value.name, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)
