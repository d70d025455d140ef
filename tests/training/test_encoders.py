"""Encoders made of anybody's ONNX files, and of the extra's weights."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from training.data.errors import DataError
from training.encoders import MEAN, SIDE, find_encoder
from training.export import run_onnx
from training.graphs import FEATURES, IMAGE, graph_of
from training.own.encoder_head import answers_by, fit_head, with_head

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16), dtype=np.uint8)


def file_of(
    path: Path,
    shape: list[int | str | None],
    output: list[int | str],
    element: int = TensorProto.FLOAT,
    opset: int = 18,
) -> Path:
    """An ONNX file that gives its input back, reduced to `output`'s rank."""
    taken = helper.make_tensor_value_info("x", element, shape)
    given = helper.make_tensor_value_info("y", TensorProto.FLOAT, output)
    cast = helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)
    last = helper.make_node("Identity" if len(output) == 4 else "Flatten", ["f"], ["y"])
    graph = helper.make_graph([cast, last], "g", [taken], [given])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def test_a_file_of_floats_is_given_imagenets_scale(tmp_path: Path) -> None:
    path = file_of(tmp_path / "maps.onnx", ["n", 3, 16, 16], ["n", 3, 16, 16])
    encoder = find_encoder(str(path), tmp_path / "cache")
    assert encoder is not None
    assert encoder.side == 16
    assert "maps.onnx" in encoder.knowledge
    features = encoder.opened()(PICTURES)
    expected = (PICTURES.mean(axis=(2, 3)) / 255 - MEAN) / (0.229, 0.224, 0.225)
    np.testing.assert_allclose(features, expected, rtol=1e-5)


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 21])
def test_files_of_any_age_carry_a_head(tmp_path: Path, opset: int) -> None:
    path = file_of(tmp_path / "old.onnx", ["n", 3, 16, 16], ["n", 768], opset=opset)
    encoder = find_encoder(str(path), tmp_path / "cache")
    assert encoder is not None
    features = encoder.opened()(PICTURES)
    head = fit_head(features, np.eye(3, dtype=np.float32), 10.0, np.arange(3))
    (tmp_path / "served.onnx").write_bytes(with_head(encoder, head, 768).SerializeToString())
    answers = run_onnx(tmp_path / "served.onnx", PICTURES)
    np.testing.assert_allclose(answers.probabilities, answers_by(head, features).probabilities, atol=1e-5)


def test_a_file_of_bytes_is_taken_as_it_is(tmp_path: Path) -> None:
    path = file_of(tmp_path / "bytes.onnx", ["n", 3, 16, 16], ["n", 768], TensorProto.UINT8)
    encoder = find_encoder(str(path), tmp_path / "cache")
    assert encoder is not None
    np.testing.assert_array_equal(encoder.opened()(PICTURES), PICTURES.reshape(3, -1))
    assert find_encoder(str(path), tmp_path / "cache") == encoder


def test_open_sides_become_the_usual_ones(tmp_path: Path) -> None:
    encoder = find_encoder(
        str(file_of(tmp_path / "a.onnx", ["n", 3, "h", "w"], ["n", 3, "h", "w"])), tmp_path / "cache"
    )
    assert encoder is not None
    assert encoder.side == SIDE
    assert encoder.input("crop").shape == (3, SIDE, SIDE)


@pytest.mark.parametrize("shape", [[1, 3, 16, 16], ["n", 1, 16, 16], ["n", 3, 16, 8], ["n", 3]])
def test_other_inputs_are_refused(tmp_path: Path, shape: list[int | str | None]) -> None:
    path = file_of(tmp_path / "odd.onnx", shape, ["n", 3, "h", "w"] if len(shape) == 4 else ["n", 3])
    with pytest.raises(DataError, match=r"odd\.onnx: cannot be used as an encoder"):
        find_encoder(str(path), tmp_path / "cache")


def test_what_is_no_encoder_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no graph")
    for name in (str(tmp_path / "text.onnx"), str(tmp_path / "missing.onnx"), "resnet", "lite1"):
        with pytest.raises(DataError, match="--encoder"):
            find_encoder(name, tmp_path / "cache")
    assert find_encoder("none", tmp_path / "cache") is None


def test_the_extras_encoder_gives_features_that_differ(tmp_path: Path) -> None:
    encoder = find_encoder("auto", tmp_path)
    assert encoder is not None
    assert "ImageNet" in encoder.knowledge
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, SIDE, SIDE), dtype=np.uint8)
    features = encoder.opened()(pictures)
    assert features.shape == (2, 1280)
    assert np.abs(features[0] - features[1]).max() > 0.1


def test_a_graph_names_its_tensors_and_takes_any_batch() -> None:
    proto = graph_of(nn.Sequential(nn.Flatten(), _Mean()), (3, 4, 4), [FEATURES])
    assert [one.name for one in proto.graph.input] == [IMAGE]
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


class _Mean(nn.Module):
    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers.float().mean(dim=1, keepdim=True)
