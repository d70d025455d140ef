"""Checkpoints on disk: a run that is killed at any moment and started again resumes, and ends with the same weights.

Knows nothing about what the stages do: each hands over parts that have a state.
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
    """The folder of one run; one file a stage.

    Args:
        folder: None writes nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._shared: dict[str, Path] = {}

    @property
    def name(self) -> str:
        """The folder's name, which is the run's key."""
        return self._folder.name if self._folder else "unnamed"

    def stage(self, name: str, parts: Mapping[str, Stateful]) -> "StageCheckpoint":
        """The file of one stage."""
        folder = self._shared.get(name, self._folder)
        return StageCheckpoint(folder / f"{name}.pt" if folder else None, parts)

    def share(self, name: str, folder: Path) -> None:
        """Keeps the file of stage `name` in `folder`, shared with other runs; `clear` does not delete it."""
        self._shared[name] = folder

    def clear(self) -> None:
        """Deletes the run's folder."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class StageCheckpoint:
    """The file of one stage: how much of it is done, and the state of its parts at that moment."""

    def __init__(self, path: Path | None, parts: Mapping[str, Stateful]) -> None:
        self._path = path
        self._parts = parts

    def resume(self) -> int:
        """Restores the parts if the file exists; returns how much was done, 0 without a file."""
        if self._path is None or not self._path.exists():
            return 0
        saved = torch.load(self._path, map_location="cpu", weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(saved["parts"][name])
        return int(saved["done"])

    def save(self, done: int) -> None:
        """Writes the state of the parts, atomically."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        torch.save({"done": done, "parts": {name: part.state_dict() for name, part in self._parts.items()}}, partial)
        partial.replace(self._path)


def run_key(data: Dataset, conditions: Mapping[str, object]) -> str:
    """Hash of all that a run's weights depend on: the data, and settings, device, threads, versions in `conditions`."""
    digest = hashlib.sha256(repr(sorted(conditions.items())).encode())
    digest.update(data.images.numpy().tobytes())
    digest.update(data.labels.numpy().tobytes())
    return digest.hexdigest()[:16]
