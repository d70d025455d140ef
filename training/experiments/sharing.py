"""Checkpoints of stages that runs of the laboratory share, and the folders for them."""

from dataclasses import asdict, replace
from pathlib import Path

import torch

from training.checkpoint import Checkpoint, run_key
from training.data.dataset import UNLABELLED, Dataset
from training.provenance import RUNS, surroundings
from training.settings import TrainingSettings


class SharedCheckpoint(Checkpoint):
    """The folder of one run, but for the stages in `shared`: their files are in these folders, which `clear` leaves."""

    def __init__(self, folder: Path, shared: dict[str, Path]) -> None:
        super().__init__(folder)
        self._shared = shared

    def file(self, stage: str) -> Path:
        """Where the file of `stage` is, or will be."""
        return self._shared[stage] / f"{stage}.pt" if stage in self._shared else super().file(stage)


def pretraining_folder(data: Dataset, settings: TrainingSettings, device: torch.device) -> Path:
    """Folder for a pretraining that runs share which differ in their labels or in later stages."""
    unlabelled = replace(data, labels=torch.full_like(data.labels, UNLABELLED))
    network = {"seed": settings.seed, "widths": settings.widths}
    depends = {**network, **asdict(settings.pretrain), **surroundings(device)}
    return RUNS / f"pretrained-{run_key(unlabelled, depends)}"
