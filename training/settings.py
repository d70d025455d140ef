"""Every setting of the pipeline, frozen; the command line derives from these fields and their docstrings."""

from dataclasses import dataclass
from pathlib import Path

from training.stages.finetune import FinetuneSettings
from training.stages.novelty import NoveltySettings
from training.stages.pretrain import PretrainSettings
from training.stages.propagate import PropagateSettings


@dataclass(frozen=True)
class TrainingSettings:
    """From unlabelled images and a few labels to a bundle that `python -m serving` serves.

    Progress goes to stderr; the last line on stdout is one JSON document.
    """

    name: str = "digits"
    """The bundle's name, the first half of `name@version`."""
    output: Path = Path("models/digits")
    """Folder that receives the bundle; an older one there is replaced."""
    data: Path = Path("data")
    """Folder that holds the data set, or receives it."""
    labels: int = 200
    """How many of the training images keep their label: the first ones."""
    images: int | None = None
    """Use only the first so many training images; all of them if not given."""
    seed: int = 0
    """Seed of all random numbers: the same seed on the same machine gives the same weights."""
    index_size: int = 10_000
    """How many training images go into the similarity index, at most."""
    widths: tuple[int, int, int] = (16, 16, 32)
    """Channels of the network's convolutions; about 0.77 million multiply-adds an MNIST image. Multiples of 8 fill a
    CPU's vectors: onnxruntime takes twice the time with 12, 22 and 44."""
    pretrain: PretrainSettings = PretrainSettings()
    """Self-supervised stage."""
    propagate: PropagateSettings = PropagateSettings()
    """Labels propagated along neighbours."""
    finetune: FinetuneSettings = FinetuneSettings()
    """Backbone and new head learn from the propagated labels and from themselves."""
    novelty: NoveltySettings = NoveltySettings()
    """Detection of images that show no digit."""

    def check(self, available: int) -> None:
        """Raises ValueError for counts that cannot work with `available` training images."""
        images = available if self.images is None else self.images
        if not 0 < images <= available:
            raise ValueError(f"--images {images}: there are {available:,}")
        if not 0 < self.labels <= images:
            raise ValueError(f"--labels {self.labels}: there are {images:,} images")
        if self.index_size < 1:
            raise ValueError(f"--index-size {self.index_size}: at least 1")
        if images <= self.propagate.neighbours:
            raise ValueError(f"--propagate.neighbours {self.propagate.neighbours}: there are only {images:,} images")
        for stage in ("pretrain", "finetune"):
            size = getattr(self, stage).batch_size
            if images < size:
                raise ValueError(f"--{stage}.batch-size {size}: there are only {images:,} images")
