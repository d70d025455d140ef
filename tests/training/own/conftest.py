"""A folder of coloured shapes, and an encoder that sees little of them: both small enough to train in seconds."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests.pictures.uploads import encoded

NAMES = ("kreis grün", "ring", "viereck äöü")
Folder = Callable[..., Path]


def shape(number: int, random: np.random.Generator, side: int = 40) -> NDArray[np.uint8]:
    """A circle, a ring or a square somewhere on noise."""
    picture = random.integers(90, 130, (side, side, 3), dtype=np.uint8)
    x, y = random.integers(14, side - 14, 2).tolist()
    colour = [(40, 220, 40), (230, 230, 60), (60, 60, 240)][number]
    if number == 2:
        cv2.rectangle(picture, (x - 9, y - 9), (x + 9, y + 9), colour, -1)
    else:
        cv2.circle(picture, (x, y), 10, colour, -1 if number == 0 else 3)
    return picture


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Writes so many pictures of each class into class folders, a test split and unlabelled ones."""

    def write(labelled: int = 6, unlabelled: int = 60, tested: int = 20, kind: str = "PNG") -> Path:
        random = np.random.default_rng(0)
        root = tmp_path / "my pictures"
        for number, name in enumerate(NAMES):
            for part, count in ((name, labelled), ("unlabelled", unlabelled // 3), (f"test/{name}", tested)):
                (root / part).mkdir(parents=True, exist_ok=True)
                for one in range(count):
                    picture = encoded(shape(number, random), kind)
                    (root / part / f"{'abc'[number]} {one}.{kind.lower()}").write_bytes(picture)
        return root

    return write


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file: (n, 3, 32, 32) floats → means over 4×4 pixels."""
    taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, 32, 32])
    given = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", 192])
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Flatten", ["pooled"], ["vectors"]),
    ]
    path = tmp_path_factory.mktemp("encoder") / "means.onnx"
    graph = helper.make_graph(nodes, "means", [taken], [given])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path
