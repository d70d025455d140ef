"""Every setting of trials on pictures; the command line derives from these fields and their docstrings."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.data.scan import CACHE
from training.experiments.benchmark import RESULTS
from training.own.settings import OwnSettings


@dataclass(frozen=True)
class TrialSettings:
    """Measures trainings on pictures whose labels are all known: few are given, drawn several times.

    Progress goes to stderr, a Markdown table to stdout, and all figures to training/experiments/results/pictures/.
    """

    data: Path
    """Folder, .zip or .csv as for a training, all labelled; test/ is the test split where there is one."""
    name: str | None = None
    """Names the results; the folder's name if not given."""
    labels: tuple[int, ...] = (10, 25)
    """Labels a class that are given; a class that has fewer gives all."""
    draws: int = 3
    """How often labels are drawn, for each of these numbers."""
    held_out: float = 0.25
    """Share of each class that is drawn as test split, where the collection has none."""
    split_seed: int = 0
    """Seed of that draw, and of all others but that of the labels."""
    images: int | None = None
    """Pictures a class that are trained on, labelled or not, at most; drawn at random. All if not given."""
    leave_out: str | None = None
    """A class that takes no part in training: whether novelty finds it is measured."""
    others: tuple[Path, ...] = ()
    """Folders of foreign pictures: whether novelty finds them is measured, on 1,000 of each at most."""
    encoder: str = "auto"
    """As for a training."""
    serve: Literal["student", "encoder"] = "student"
    """As for a training."""
    size: int | None = None
    """As for a training."""
    threads: int | None = None
    """Threads that torch takes; onnxruntime takes all cores. As the environment says if not given."""
    options: str = ""
    """More options of `python -m training.own` in one text: --options='--views geometry'."""
    again: bool = False
    """Run trials that have run before, too."""
    cache: Path = CACHE
    """Folder of decoded pictures and features, which can be deleted at any time."""
    folder: Path = Path("runs/trials")
    """Receives <name>/: links to the pictures, tables of labels, bundles, logs and a JSON file for each trial."""
    results: Path = RESULTS / "pictures"
    """Receives <name>.json, the figures of all trials."""

    @property
    def title(self) -> str:
        """The name of the results."""
        return self.name or re.sub(r"\s+", "-", self.data.resolve().stem).lstrip(".")

    @property
    def place(self) -> Path:
        """Where everything but the results goes."""
        return self.folder / self.title

    def own(self, data: Path, name: str) -> OwnSettings:
        """Of one training."""
        models = self.place / "models"
        return OwnSettings(data, name, self.encoder, self.serve, size=self.size, cache=self.cache, models=models)

    def check(self) -> None:
        """Raises ValueError for what cannot be."""
        self.own(self.data, self.title).check()
        if not 0 < self.held_out < 1:
            raise ValueError(f"--held-out {self.held_out}: between 0 and 1")
        for name, values in {"labels": self.labels, "draws": (self.draws,), "images": (self.images or 1,)}.items():
            if not values or min(values) < 1:
                raise ValueError(f"--{name}: 1 or more")
