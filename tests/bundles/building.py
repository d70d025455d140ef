"""Tiny bundles of colour pictures, with classes and without: the graph tells which of red, green and blue is strongest.

Needs onnx, so that only the development environment has it.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from models.manifest import INDEX, MODEL, InputSpec, Manifest, Metric, TensorSpec, sha256

SPEC = InputSpec("crop", 8, 8, 3)
NAMES = ("Röt", 'Grün & "Öl"', "two\nlines")
"""Of the classes: red, green and blue."""
IDS = ("rot und röter/Bild 1.png", "Grün.png", "b/0.png", "b/später.png")
COLOURS = np.array([[230, 20, 30], [20, 230, 30], [20, 30, 230], [30, 20, 200]], np.uint8)
"""Of the images in the index."""


def picture(colour: NDArray[np.uint8], height: int = 8, width: int = 8) -> NDArray[np.uint8]:
    """(height, width, 3) of one colour."""
    return np.broadcast_to(colour, (height, width, 3)).copy()


def write_bundle(folder: Path, names: tuple[str, ...] = NAMES, spec: InputSpec = SPEC) -> Path:
    """Writes a bundle of these classes into `folder`, which may not exist yet, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = (TensorSpec("image", "uint8", ("batch", *spec.shape)),)
    shapes: dict[str, tuple[int, ...]] = {"embedding": (3,), "novelty": ()}
    if names:
        shapes = {"logits": (3,), "probabilities": (3,), **shapes}
    outputs = tuple(TensorSpec(name, "float32", ("batch", *shape)) for name, shape in shapes.items())
    (folder / MODEL).write_bytes(_graph(inputs[0], outputs))
    _write_index(folder / INDEX, bool(names), spec)
    manifest = Manifest(
        name=folder.name,
        created="2026-11-30T12:00:00+00:00",
        git_commit=None,
        protocol="Nothing was measured.",
        knowledge="none",
        files={name: sha256(folder / name) for name in (MODEL, INDEX)},
        input=spec,
        network={},
        inputs=inputs,
        outputs=outputs,
        class_names=names,
        novelty_threshold=0.5,
        metrics={"test_accuracy": Metric(value=1.0, low=0.4, high=1.0, n=4)} if names else {},
        training={},
        packages={},
    )
    manifest.save(folder)
    return folder


def _graph(image: TensorSpec, outputs: tuple[TensorSpec, ...]) -> bytes:
    """Mean colour → logits, and at unit length the embedding; the darker, the more novel."""
    nodes = [
        helper.make_node("Cast", ["image"], ["bright"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["bright", "plane"], ["colour"], keepdims=0),
        helper.make_node("Div", ["colour", "full"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ReduceL2", ["logits", "axis"], ["length"], keepdims=1),
        helper.make_node("Max", ["length", "little"], ["safe"]),
        helper.make_node("Div", ["logits", "safe"], ["embedding"]),
        helper.make_node("ReduceMax", ["logits", "axis"], ["brightest"], keepdims=0),
        helper.make_node("Sub", ["one", "brightest"], ["novelty"]),
    ]
    constants = [
        helper.make_tensor("plane", TensorProto.INT64, [2], [2, 3]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("full", TensorProto.FLOAT, [], [255.0]),
        helper.make_tensor("little", TensorProto.FLOAT, [], [1e-6]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
    ]
    taken = helper.make_tensor_value_info("image", TensorProto.UINT8, image.shape)
    given = [helper.make_tensor_value_info(one.name, TensorProto.FLOAT, one.shape) for one in outputs]
    graph = helper.make_graph(nodes, "colours", [taken], given, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def _write_index(path: Path, labelled: bool, spec: InputSpec) -> None:
    lengths = np.linalg.norm(COLOURS.astype(np.float32), axis=1, keepdims=True)
    np.savez_compressed(
        path,
        ids=np.array(IDS),
        embeddings=(COLOURS / lengths).astype(np.float16),
        thumbnails=np.stack([picture(colour, spec.height, spec.width) for colour in COLOURS]),
        labels=np.array([0, 1, 2, -1] if labelled else [-1] * 4, np.int32),
        label_given=np.array([labelled, False, False, False]),
    )
