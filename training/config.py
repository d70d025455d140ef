"""Every setting of the pipeline, frozen; the command line derives from these fields and their docstrings."""

from dataclasses import dataclass
from pathlib import Path

from training.finetune import FinetuneSettings
from training.pretrain import PretrainSettings
from training.selftrain import SelftrainSettings


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
    """Use only the first so many training images; all of them when not given."""
    seed: int = 0
    """Source of all randomness: the same seed on the same machine gives the same weights."""
    index_size: int = 10_000
    """How many training images go into the similarity index, at most."""
    pretrain: PretrainSettings = PretrainSettings()
    """Self-supervised stage."""
    finetune: FinetuneSettings = FinetuneSettings()
    """Few-label stage."""
    selftrain: SelftrainSettings = SelftrainSettings()
    """Pseudo-label stage."""

    def check(self, available: int) -> None:
        """Raises ValueError for counts that cannot work with `available` training images."""
        images = available if self.images is None else self.images
        if not 0 < images <= available:
            raise ValueError(f"--images {images}: there are {available:,}")
        if not 0 < self.labels <= images:
            raise ValueError(f"--labels {self.labels}: there are {images:,} images")
        if self.index_size < 1:
            raise ValueError(f"--index-size {self.index_size}: at least 1")
        if images < self.pretrain.batch_size:
            raise ValueError(f"--pretrain.batch-size {self.pretrain.batch_size}: there are only {images:,} images")
        if images - self.labels < self.selftrain.batch_size:
            unlabelled = f"only {images - self.labels:,} images have no label"
            raise ValueError(f"--selftrain.batch-size {self.selftrain.batch_size}: {unlabelled}")
