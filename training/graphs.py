"""ONNX graphs: of torch's modules, and an encoder made of anybody's graph. Knows no files."""

import warnings
from collections.abc import Sequence

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper, version_converter
from torch import nn

OPSET = 18
"""Read by onnxruntime, Triton and OpenVINO alike."""
IMAGE, FEATURES = "image", "features"
"""Names of an encoder's input and output."""
BATCH = "batch"


def graph_of(
    module: nn.Module,
    shape: tuple[int, ...],
    outputs: Sequence[str],
    taken: str = IMAGE,
    dtype: torch.dtype = torch.uint8,
) -> onnx.ModelProto:
    """The graph of a module: `taken` (batch, *shape) → `outputs`, dynamic batch, checked."""
    with warnings.catch_warnings(action="ignore"):  # the exporter's own, about its dependencies
        program = torch.onnx.export(
            module.cpu().eval(),
            (torch.zeros((2, *shape), dtype=dtype),),
            dynamo=True,
            input_names=[taken],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim(BATCH)},),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    strip_metadata(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def as_encoder(
    model: onnx.ModelProto, side: int, mean: tuple[float, ...], deviation: tuple[float, ...]
) -> onnx.ModelProto:
    """`model` with one input `IMAGE` (batch, 3, side, side) uint8 and one output `FEATURES` (batch, dim) float32.

    Its own first input must be (batch, 3, height, width), uint8 or floats; floats are given (pixel / 255 - mean) /
    deviation. Its output is the first of vectors or of maps, which are averaged. Raises ValueError.
    """
    if next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0) < OPSET:
        model = version_converter.convert_version(model, OPSET)
    constants = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in constants]
    if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) != 4:
        raise ValueError(f"it takes {[one.name for one in inputs]}, not one batch of pictures")
    (image,) = inputs
    batch, channels, height, width = (dim.dim_value for dim in image.type.tensor_type.shape.dim)
    if batch or channels not in (0, 3) or height != width:
        raise ValueError(
            f"it takes pictures of ({batch or BATCH}, {channels}, {height}, {width}), not (batch, 3, side, side)"
        )
    outputs = [(one, len(one.type.tensor_type.shape.dim)) for one in model.graph.output]
    output, rank = next(((one, rank) for one, rank in outputs if rank in (2, 4)), (None, 0))
    if output is None:
        raise ValueError("it gives neither vectors nor maps")
    element = image.type.tensor_type.elem_type
    if element not in (TensorProto.UINT8, TensorProto.FLOAT):
        raise ValueError("its input is neither uint8 nor float32")
    model = compose.add_prefix(model, "encoder/")
    taken, given = f"encoder/{image.name}", f"encoder/{output.name}"
    size = height or side
    before = _before(size, element == TensorProto.FLOAT, mean, deviation, model)
    after = _after(rank == 4, model)
    joined = compose.merge_models(before, model, io_map=[("pixels", taken)], outputs=[given])
    return compose.merge_models(joined, after, io_map=[(given, "given")])


def on_top(encoder: onnx.ModelProto, above: onnx.ModelProto) -> onnx.ModelProto:
    """An encoder's graph and that of a module of its `FEATURES` as one, checked."""
    above.ir_version = encoder.ir_version
    del above.opset_import[:]
    above.opset_import.extend(encoder.opset_import)
    above = compose.add_prefix(above, "head/", rename_inputs=False, rename_outputs=False)
    encoder = compose.add_prefix(encoder, "encoder/", rename_inputs=False, rename_outputs=False)
    joined = compose.merge_models(encoder, above, io_map=[(FEATURES, FEATURES)])
    onnx.checker.check_model(joined, full_check=True)
    return joined


def strip_metadata(proto: onnx.ModelProto) -> None:
    """Removes the exporter's notes: stack traces that carry this machine's paths."""
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")


def _before(
    side: int, floats: bool, mean: tuple[float, ...], deviation: tuple[float, ...], like: onnx.ModelProto
) -> onnx.ModelProto:
    """uint8 pictures → `pixels`, as the network takes them."""
    image = helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, [BATCH, 3, side, side])
    element = TensorProto.FLOAT if floats else TensorProto.UINT8
    pixels = helper.make_tensor_value_info("pixels", element, [BATCH, 3, side, side])
    if not floats:
        return _model([helper.make_node("Identity", [IMAGE], ["pixels"])], image, pixels, like)
    shift, scale = (255 * np.array(one, np.float32).reshape(3, 1, 1) for one in (mean, deviation))
    nodes = [
        helper.make_node("Cast", [IMAGE], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["float", "shift"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["pixels"]),
    ]
    return _model(nodes, image, pixels, like, shift=shift, scale=scale)


def _after(maps: bool, like: onnx.ModelProto) -> onnx.ModelProto:
    """`given`, vectors or maps → `FEATURES`."""
    given = helper.make_tensor_value_info("given", TensorProto.FLOAT, None)
    features = helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [BATCH, "dim"])
    if not maps:
        return _model([helper.make_node("Identity", ["given"], [FEATURES])], given, features, like)
    nodes = [
        helper.make_node("GlobalAveragePool", ["given"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], [FEATURES]),
    ]
    return _model(nodes, given, features, like)


def _model(
    nodes: list[onnx.NodeProto],
    taken: onnx.ValueInfoProto,
    given: onnx.ValueInfoProto,
    like: onnx.ModelProto,
    **constants: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> onnx.ModelProto:
    """A model of the same versions as `like`, which can then be merged with it."""
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, given.name, [taken], [given], initializers)
    return helper.make_model(graph, opset_imports=like.opset_import, ir_version=like.ir_version)
