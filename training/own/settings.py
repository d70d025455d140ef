"""Every setting of training on one's own images; the command line derives from these fields and their docstrings."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from models.manifest import MANIFEST
from training.data.scan import CACHE
from training.settings import TrainingSettings
from training.soft_labels import SoftLabelSettings
from training.stages.distill import DistillSettings
from training.views.pictures import PictureViews

MODELS = Path("models")
SMALLEST, LARGEST = 16, 224
"""Pixels along each side of what a student may see."""


@dataclass(frozen=True)
class OwnPretrainSettings:
    """How the network learns from the images alone, where no encoder teaches it (SimCLR)."""

    images: int = 600_000
    """Images that it sees in all, each as two views."""
    batch_size: int = 256
    """Images a step, at most."""
    temperature: float = 0.3
    """NT-Xent's temperature."""
    learning_rate: float = 3e-3
    """AdamW's peak learning rate."""
    weight_decay: float = 1e-4
    """AdamW's decoupled weight decay."""
    views: PictureViews = PictureViews(part=0.4, stretch=0.2, light=0.4, colour=0.4, gray=0.2, blur=0.2)
    """The random transforms."""

    def epochs_of(self, images: int) -> int:
        """Passes over so many images."""
        return max(5, round(self.images / images))


@dataclass(frozen=True)
class OwnSettings:
    """From a folder of pictures, a few of them labelled, to a bundle that `make serve NAME=…` serves.

    Progress goes to stderr; the last line on stdout is one JSON document.
    """

    data: Path
    """Folder, .zip or .csv: folders are classes, or labels.csv says which file has which label; test/ is held out."""
    name: str
    """The bundle's name; it goes to models/<name>/."""
    encoder: str = "auto"
    """Pretrained encoder whose features teach: an ONNX file, `lite0`, a name of torchvision's, or `none`; `auto` takes
    lite0 where the extra `encoder` is installed."""
    serve: Literal["student", "encoder"] = "student"
    """What is served: a small network of its own, or the encoder with a linear head, better and many times as slow."""
    compare: bool = False
    """Also learn features from the pictures alone, and take those that foretell the labels better."""
    resize: Literal["auto", "crop", "stretch"] = "auto"
    """How pictures come to a square: its middle, or all of it; `auto` asks the labels."""
    size: int | None = None
    """Pixels along each side of what the served network sees; by the pictures' own size if not given."""
    views: Literal["all", "geometry"] = "all"
    """What random views may change; `geometry` keeps light and colour, for where these are the class."""
    frequencies: tuple[float, ...] = ()
    """How frequent each class is among all images, in the order of their names; estimated if not given."""
    seed: int = 0
    """Seed of all random numbers: the same seed on the same machine gives the same weights."""
    index_size: int = 10_000
    """How many images go into the similarity index, at most."""
    widths: tuple[int, int, int] = (32, 48, 96)
    """Channels of the student's three stages."""
    pretrain: OwnPretrainSettings = OwnPretrainSettings()
    """Self-supervised stage, without an encoder."""
    soft_labels: SoftLabelSettings = SoftLabelSettings()
    """From a few labels to probabilities of every image."""
    student: DistillSettings = DistillSettings()
    """The network that is served learns those."""
    cache: Path = CACHE
    """Folder of decoded pictures and features, which can be deleted at any time."""
    models: Path = MODELS
    """Folder that receives the bundle's."""

    def check(self) -> None:
        """Raises ValueError for a name or sizes that cannot be."""
        spaces = any(map(str.isspace, self.name))
        if not self.name or self.name != Path(self.name).name or self.name.startswith(".") or spaces:
            raise ValueError(
                f"--name {self.name}: the name of one folder in {self.models}/, without spaces and slashes"
            )
        if self.output.resolve() == TrainingSettings().output.resolve():
            raise ValueError(f"--name {self.name}: that is the bundle that comes with fewlabel: give another name")
        for folder in (self.models, self.cache) if self.data.is_dir() else ():
            if folder.resolve().is_relative_to(self.data.resolve()):
                raise ValueError(
                    f"{folder}: lies in the folder of pictures, where nothing is written: give another one"
                )
        if self.output.exists() and not (self.output / MANIFEST).exists():
            raise ValueError(f"--name {self.name}: {self.output} is there and holds no bundle: give another name")
        if self.size is not None and not SMALLEST <= self.size <= LARGEST:
            raise ValueError(f"--size {self.size}: between {SMALLEST} and {LARGEST}")
        if self.frequencies and not (min(self.frequencies) > 0 and abs(sum(self.frequencies) - 1) < 0.01):
            raise ValueError("--frequencies: one share above 0 for each class, 1 in all")

    def resolved(self) -> "OwnSettings":
        """The same with the views that `views` asks for."""
        if self.views == "all":
            return self
        pretrain = replace(self.pretrain, views=self.pretrain.views.geometry())
        return replace(self, pretrain=pretrain, student=replace(self.student, views=self.student.views.geometry()))

    @property
    def output(self) -> Path:
        """Folder of the bundle; an older one there is replaced."""
        return self.models / self.name
