"""Checkpoints on disk: a run that is killed at any moment and started again resumes, and ends with the same weights.

Knows nothing about what the stages do: each hands over `parts`, by name, that have a state.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from training.data.dataset import Dataset


class Stateful(Protocol):
    """A part of a stage with a state: a module, an optimisation, …"""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class RandomState:
    """A random generator as a `Stateful`."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def state_dict(self) -> dict[str, Any]:
        """The generator's state."""
        return {"state": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self._generator.set_state(state["state"].cpu())


class Checkpoint:
    """The folder of one run, named by its key; one file a stage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resume(self, stage: str, parts: Mapping[str, Stateful]) -> int:
        """Restores the parts of `stage` from its file; returns how much of it was done, 0 without a file."""
        path = self.file(stage)
        if not path.exists():
            return 0
        saved = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(saved["parts"][name])
        return int(saved["done"])

    def save(self, stage: str, parts: Mapping[str, Stateful], done: int) -> None:
        """Writes how much of `stage` is done and the state of its parts, atomically."""
        path = self.file(stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save({"done": done, "parts": {name: part.state_dict() for name, part in parts.items()}}, partial)
        partial.replace(path)

    def clear(self) -> None:
        """Deletes the run's folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, stage: str) -> Path:
        """Where the file of `stage` is, or will be."""
        return self.folder / f"{stage}.pt"


def run_key(data: Dataset, conditions: Mapping[str, object]) -> str:
    """Hash of all that a run's weights depend on: the data, and settings, device, threads, versions in `conditions`."""
    digest = hashlib.sha256(repr(sorted(conditions.items())).encode())
    digest.update(data.images.numpy().tobytes())
    digest.update(data.labels.numpy().tobytes())
    return digest.hexdigest()[:16]
